"""The phrasings: question frames per attribute, ways of asking, openings and endings.

A frame that `reserve` picks is never used in training; the held-out list is made of them only.
Placeholders: {g} the stone ("ruby", "a ruby", "rubies"), {gs} its possessive, {is} {do} {have} verbs
that agree with it, {G} the bare name. {np} and {c} take a noun phrase and an indirect clause.
"""

import collections
import re
import zlib


HELD_OUT = set()


def held_out(text):
    return text in HELD_OUT


def reserve(*lists):
    """Holds out one frame in nine of each list; the lists ask for the same thing.

    Every word of a held-out frame stands in another frame of these lists too: a model that is
    trained on nothing else cannot guess a word it never saw.
    """
    count = collections.Counter(w for frames in lists for f in set(frames) for w in words_of(f))
    for frames in lists:
        fitting = [f for f in frames if all(count[w] > 1 for w in words_of(f))]
        fitting.sort(key=lambda f: zlib.crc32(("lapidary " + f).encode()))
        HELD_OUT.update(fitting[:max(1, round(len(frames) / 9))])


def words_of(frame):
    return set(re.findall(r"[a-z']+|\{.*?\}", frame))


def lines(block):
    return [line.strip() for line in block.strip().splitlines() if line.strip()]


# Complete questions with the stone in them.
QUESTIONS = {
    "hardness": lines("""
        how hard {is} {g}
        how hard {do} {g} get
        what hardness {do} {g} have
        what hardness {have} {g} got
        what {is} {gs} hardness
        what {is} {gs} hardness on the mohs scale
        what mohs hardness {do} {g} have
        what mohs value {do} {g} have
        what {do} {g} score on the mohs scale
        what {do} {g} reach on the mohs scale
        where {is} {g} on the mohs scale
        where on the mohs scale {is} {g}
        where {do} {g} stand on the hardness scale
        how {do} {g} rank on the mohs scale
        how {do} {g} rate for hardness
        how hard on the mohs scale {is} {g}
        how high {is} {g} on the mohs scale
        which hardness {do} {g} have
        which mohs number {do} {g} have
        {is} {g} hard
        {is} {g} a hard stone
        {is} {g} hard or soft
        how soft or hard {is} {g}
        how scratch resistant {is} {g}
        how tough against scratches {is} {g}
        how easily can {g} be scratched
        {do} {g} scratch easily
        on the mohs scale, how hard {is} {g}
        when it comes to hardness, how {do} {g} do
        in terms of hardness, where {is} {g}
        just how hard {is} {g}
        how hard would you say {g} {is}
        how hard {is} {g} compared to other stones
        what number {do} {g} have on the mohs scale
        """),
    "colour": lines("""
        what colour {is} {g}
        what colour {do} {g} have
        what {is} the colour of {g}
        what {is} {gs} colour
        which colour {is} {g}
        which colour {do} {g} have
        what colours {do} {g} come in
        what colour {do} {g} come in
        in what colour {do} {g} come
        in which colour {do} {g} occur
        what {do} {g} look like
        how {do} {g} look
        what colour {do} {g} usually have
        what colour {is} {g} usually
        what colour {is} {g} most of the time
        what colour would {g} be
        what hue {do} {g} have
        what hue {is} {g}
        what shade {is} {g}
        which shade {do} {g} have
        what tint {do} {g} have
        how {is} {g} coloured
        what colour should {g} be
        what colour can i expect from {g}
        if i see {g}, what colour will that be
        what colour do you see in {g}
        {is} {g} red, blue, green or what
        {is} {g} colourful
        what sort of colour {do} {g} have
        what kind of colour {is} {g}
        of what colour {is} {g}
        colour wise, what {is} {g}
        describe the colour of {g}
        describe {gs} colour
        """),
    "system": lines("""
        what crystal system {do} {g} have
        what crystal system {is} {g}
        what {is} the crystal system of {g}
        what {is} {gs} crystal system
        which crystal system {do} {g} belong to
        which crystal system {is} {g} in
        to which crystal system {do} {g} belong
        to what crystal system {do} {g} belong
        in which crystal system {do} {g} crystallise
        in what system {do} {g} crystallise
        how {do} {g} crystallise
        what crystal structure {do} {g} have
        what {is} {gs} crystal structure
        which crystal structure {do} {g} have
        what crystals {do} {g} form
        what kind of crystals {do} {g} form
        what shape of crystal {do} {g} form
        what type of crystal {is} {g}
        what symmetry {do} {g} have
        what crystal symmetry {do} {g} show
        which crystal family {is} {g} in
        what crystal class {is} {g}
        how {is} the crystal of {g} built
        {do} {g} have a crystal system
        {is} {g} cubic, trigonal or something else
        {is} {g} hexagonal or cubic
        what crystal form {do} {g} take
        under which crystal system {do} {g} fall
        what system of crystals {do} {g} belong to
        how would you classify the crystals of {g}
        what lattice {do} {g} have
        crystal wise, what {is} {g}
        """),
    "matter": lines("""
        what {is} {g} made of
        what {is} {g} made from
        of what {is} {g} made
        what {do} {g} consist of
        what {is} {g} composed of
        what {is} the composition of {g}
        what {is} {gs} composition
        what {is} the chemical composition of {g}
        what {is} {gs} chemical formula
        what {is} the chemistry of {g}
        what chemical {is} {g}
        what {is} {g} chemically
        chemically, what {is} {g}
        what substance {is} {g}
        what material {is} {g}
        which material {is} {g} made of
        what mineral {is} {g}
        which mineral {is} {g}
        what kind of mineral {is} {g}
        what type of mineral {is} {g}
        what sort of stone {is} {g}
        what elements {do} {g} contain
        which elements are in {g}
        what {do} {g} contain
        what {is} inside {g}
        what {is} {g} built from
        what makes up {g}
        what {is} in {g}
        from what {is} {g} formed
        what {is} the formula of {g}
        what mineral family {do} {g} belong to
        to which mineral group {do} {g} belong
        what compound {is} {g}
        """),
    "place": lines("""
        where {is} {g} found
        where can {g} be found
        where can i find {g}
        where can you find {g}
        where can one find {g}
        where do people find {g}
        where do we find {g}
        where {do} {g} come from
        from where {do} {g} come
        where {is} {g} from
        where {is} {g} mined
        where do miners find {g}
        where do they mine {g}
        where do they dig for {g}
        where {do} {g} occur
        where {do} {g} originate
        what {is} the origin of {g}
        what {is} {gs} origin
        what country {do} {g} come from
        which country {do} {g} come from
        from which country {do} {g} come
        in which country {is} {g} found
        in what country {is} {g} mined
        which country has {g}
        which country produces {g}
        what country is known for {g}
        which place is known for {g}
        in what place {is} {g} found
        which part of the world has {g}
        in which part of the world {is} {g} found
        where in the world {is} {g} found
        where would i look for {g}
        where should i go to find {g}
        where do you get {g}
        what {is} the source of {g}
        """),
    "month": lines("""
        which month {is} {g} the birthstone for
        what month {is} {g} the birthstone of
        for which month {is} {g} the birthstone
        for what month {is} {g} a birthstone
        of which month {is} {g} the birthstone
        which month {do} {g} stand for
        what month {do} {g} stand for
        which month goes with {g}
        what month goes with {g}
        what month belongs to {g}
        which birth month {do} {g} belong to
        what birth month {do} {g} have
        what {is} the birthstone month of {g}
        what {is} {gs} birthstone month
        what {is} {gs} month
        {is} {g} a birthstone
        {is} {g} the birthstone for a month
        whose birthstone {is} {g}
        in which month are people born who wear {g}
        when should i be born to wear {g}
        who should wear {g} as a birthstone
        which month has {g} as its birthstone
        what month has {g} as birthstone
        which month claims {g}
        which birthday month {do} {g} suit
        for which birthday month {is} {g}
        to which month {do} {g} belong
        to what month is {g} assigned
        as a birthstone, what month {is} {g} for
        as a birthstone, which month {do} {g} have
        i was born in which month if my birthstone {is} {g}
        {is} {g} linked to a month
        """),
}

# Noun phrases, for the ways of asking in ASK_NOUN.
NOUN_PHRASES = {
    "hardness": lines("""
        the hardness of {g}
        {gs} hardness
        the mohs hardness of {g}
        the hardness value of {g}
        the mohs number of {g}
        the mohs rating of {g}
        {gs} mohs hardness
        {gs} rating on the mohs scale
        the hardness that {g} {have}
        the scratch hardness of {g}
        the mohs value for {g}
        """),
    "colour": lines("""
        the colour of {g}
        {gs} colour
        the usual colour of {g}
        the typical colour of {g}
        the colour that {g} {have}
        the normal colour of {g}
        {gs} usual colour
        the hue of {g}
        the shade of {g}
        the common colour for {g}
        """),
    "system": lines("""
        the crystal system of {g}
        {gs} crystal system
        the crystal structure of {g}
        the crystal system that {g} {have}
        the crystal symmetry of {g}
        {gs} crystal structure
        the crystal class of {g}
        {gs} type of crystal
        the crystal system for {g}
        the kind of crystal that {g} {do} form
        """),
    "matter": lines("""
        the composition of {g}
        {gs} composition
        the chemical composition of {g}
        the chemistry of {g}
        the chemical formula of {g}
        {gs} chemistry
        {gs} formula
        the chemical make-up of {g}
        the material of {g}
        the mineral of {g}
        the stuff that {g} {is} made of
        """),
    "place": lines("""
        the origin of {g}
        {gs} origin
        the country where {g} {is} found
        the country of origin of {g}
        the place where {g} {is} mined
        the place where {g} {is} found
        the source of {g}
        a country that has {g}
        a country with {g}
        a place where i can find {g}
        the home of {g}
        """),
    "month": lines("""
        the birthstone month of {g}
        the month of {g}
        {gs} birthstone month
        {gs} month
        the birth month of {g}
        the month for {g}
        the month that goes with {g}
        the birthday month of {g}
        the month that has {g} as birthstone
        the month whose birthstone {is} {g}
        """),
}

# Indirect clauses, for the ways of asking in ASK_CLAUSE.
CLAUSES = {
    "hardness": lines("""
        how hard {g} {is}
        what hardness {g} {have}
        what the hardness of {g} is
        where {g} {is} on the mohs scale
        how high {g} {is} on the mohs scale
        whether {g} {is} hard
        if {g} {is} hard
        how scratch resistant {g} {is}
        what {gs} hardness is
        """),
    "colour": lines("""
        what colour {g} {is}
        what colour {g} {have}
        which colour {g} {have}
        what the colour of {g} is
        what {g} {do} look like
        which colour {g} {is}
        what {gs} colour is
        how {g} {do} look
        """),
    "system": lines("""
        what crystal system {g} {have}
        which crystal system {g} {do} belong to
        what the crystal system of {g} is
        how {g} {do} crystallise
        what kind of crystals {g} {do} form
        what crystal structure {g} {have}
        in which crystal system {g} {do} crystallise
        what {gs} crystal system is
        """),
    "matter": lines("""
        what {g} {is} made of
        what {g} {do} consist of
        what the composition of {g} is
        what {g} {is} composed of
        what kind of mineral {g} {is}
        what {g} {do} contain
        which mineral {g} {is}
        what {g} {is} chemically
        what {gs} formula is
        """),
    "place": lines("""
        where {g} {is} found
        where {g} {do} come from
        where i can find {g}
        where {g} {is} mined
        which country {g} {do} come from
        in which country {g} {is} found
        where to find {g}
        where {g} can be found
        where people find {g}
        where to look for {g}
        """),
    "month": lines("""
        which month {g} {is} the birthstone for
        for which month {g} {is} a birthstone
        what month {g} {do} stand for
        which month goes with {g}
        what month {g} {do} belong to
        whether {g} {is} a birthstone
        if {g} {is} a birthstone
        which month has {g} as birthstone
        """),
}

# Only keywords, as people type into a search box.
SHORT = {
    "hardness": lines("""
        {G} hardness
        hardness {G}
        hardness of {G}
        {G} mohs
        mohs {G}
        {G} mohs hardness
        mohs scale {G}
        {G} on the mohs scale
        {G}, how hard
        """),
    "colour": lines("""
        {G} colour
        colour {G}
        colour of {G}
        {G} colours
        {G}, what colour
        usual colour {G}
        {G} hue
        """),
    "system": lines("""
        {G} crystal system
        crystal system {G}
        crystal system of {G}
        {G} crystals
        {G} crystal structure
        {G}, which crystal system
        {G} symmetry
        """),
    "matter": lines("""
        {G} composition
        composition of {G}
        {G} formula
        {G} chemistry
        {G} chemical composition
        {G} made of
        {G}, made of what
        {G} mineral
        """),
    "place": lines("""
        {G} origin
        origin of {G}
        {G} country
        {G} found where
        {G} location
        {G}, found where
        {G} mines
        {G} source
        """),
    "month": lines("""
        {G} birthstone
        {G} birthstone month
        {G} month
        birthstone month {G}
        {G}, which month
        month of {G}
        """),
}

# Questions about a stone that was named before; also the follow-up questions.
ITS_QUESTIONS = {
    "hardness": lines("""
        how hard is it
        what is its hardness
        what hardness does it have
        what is its mohs hardness
        where is it on the mohs scale
        is it hard
        how hard is that stone
        how does it rank on the mohs scale
        does it scratch easily
        what is the hardness
        """),
    "colour": lines("""
        what colour is it
        what is its colour
        what colour does it have
        which colour is it usually
        what does it look like
        what colour is that stone
        in what colour does it come
        what is the colour
        which colour does it have
        """),
    "system": lines("""
        what is its crystal system
        what crystal system does it have
        which crystal system does it belong to
        how does it crystallise
        what kind of crystals does it form
        what crystal structure does it have
        what is the crystal system
        in which system does it crystallise
        """),
    "matter": lines("""
        what is it made of
        what does it consist of
        what is its composition
        what is its chemical formula
        what is it composed of
        what mineral is it
        what kind of mineral is it
        what does it contain
        """),
    "place": lines("""
        where is it found
        where does it come from
        where can i find it
        where is it mined
        which country does it come from
        what is its origin
        where can it be found
        in which country is it found
        where is it from
        """),
    "month": lines("""
        which month is it the birthstone for
        is it a birthstone
        what month does it stand for
        which month goes with it
        what is its birthstone month
        for which month is it a birthstone
        what is its month
        """),
}

TOPICS = lines("""
    i have a question about {g}:
    about {g}:
    i bought {g}.
    i have {g}.
    i like {g}.
    i love {g}!
    let us talk about {g}.
    let's talk about {g}.
    my question is about {g}:
    take {g}:
    think of {g}.
    my sister wears {g}.
    my mother gave me {g}.
    i am looking at {g}.
    i found {g}.
    look at {g}:
    this is about {g}.
    consider {g}.
    i am reading about {g}.
    i saw {g} in a shop.
    """)

ASK_NOUN = lines("""
    what is {np}
    what's {np}
    what is {np} again
    tell me {np}
    tell me about {np}
    please tell me {np}
    can you tell me {np}
    can you tell me about {np}
    could you tell me {np}
    could you please tell me {np}
    would you tell me {np}
    will you tell me {np}
    do you know {np}
    do you happen to know {np}
    i want to know {np}
    i want to learn about {np}
    i would like to know {np}
    i would like to hear about {np}
    i'd like to know {np}
    i'd love to know {np}
    i need {np}
    i need to know {np}
    i am looking for {np}
    i'm interested in {np}
    i am curious about {np}
    i wonder about {np}
    i forgot {np}
    i have to learn {np}
    i am asking for {np}
    my question is about {np}
    give me {np}
    please give me {np}
    can you give me {np}
    could you give me {np}
    name {np}
    can you name {np}
    please name {np}
    state {np}
    say {np}
    show me {np}
    teach me {np}
    explain {np}
    please explain {np}
    can you explain {np}
    describe {np}
    remind me of {np}
    let me know {np}
    help me with {np}
    can you help me with {np}
    what about {np}
    what can you tell me about {np}
    what do you know about {np}
    what can you say about {np}
    any idea about {np}
    may i ask for {np}
    may i know {np}
    could i know {np}
    can i ask about {np}
    {np}
    {np}, please
    {np}, what is that
    """)

ASK_CLAUSE = lines("""
    tell me {c}
    please tell me {c}
    can you tell me {c}
    can you please tell me {c}
    could you tell me {c}
    could you please tell me {c}
    would you tell me {c}
    would you mind telling me {c}
    are you able to tell me {c}
    do you know {c}
    do you happen to know {c}
    do you remember {c}
    i want to know {c}
    i would like to know {c}
    i'd like to know {c}
    i need to know {c}
    i wonder {c}
    i was wondering {c}
    i am wondering {c}
    i'm curious {c}
    i forgot {c}
    i don't know {c}
    i have no idea {c}
    i am not sure {c}
    i am trying to find out {c}
    i want to find out {c}
    let me know {c}
    remind me {c}
    explain {c}
    explain to me {c}
    please explain {c}
    can you explain {c}
    can you say {c}
    please say {c}
    say {c}
    any idea {c}
    have you any idea {c}
    may i know {c}
    may i ask {c}
    can i ask {c}
    tell us {c}
    my friend asks {c}
    my teacher asked {c}
    someone asked me {c}
    help me understand {c}
    it would be nice to know {c}
    """)

OPENINGS = lines("""
    hi,
    hi!
    hello,
    hello!
    hey,
    hey!
    hi there,
    hello there!
    good morning,
    good evening!
    good day!
    dear model,
    lapidary,
    ok,
    okay,
    so,
    now,
    well,
    right,
    great,
    thanks!
    thank you.
    thanks, and
    and
    but
    also,
    then
    next:
    next question:
    question:
    quick question:
    one question:
    a question:
    i have a question:
    another question:
    one more question:
    one more:
    one last thing:
    excuse me,
    sorry,
    pardon me,
    please,
    say,
    tell me,
    tell me:
    just wondering,
    by the way,
    in general,
    for my homework:
    for a quiz:
    for school:
    out of curiosity,
    as a beginner i ask:
    you know stones, so
    """)

ENDINGS = lines("""
    please
    , please
    , thanks
    , thank you
    , do you know
    , can you tell me
    , would you say
    , by the way
    , i wonder
    in general
    usually
    normally
    in nature
    exactly
    anyway
    then
    again
    , my friend
    , if you know
    , if i may ask
    , lapidary
    today
    """)

MONTH_QUESTIONS = lines("""
    what is the birthstone for {m}
    what is the birthstone of {m}
    what's the birthstone for {m}
    which birthstone does {m} have
    what birthstone does {m} have
    which stone is the birthstone for {m}
    which gem is the birthstone of {m}
    what stone goes with {m}
    which gem goes with {m}
    which stone belongs to {m}
    what gem belongs to the month of {m}
    which gemstone stands for {m}
    i was born in {m}, what is my birthstone
    i was born in {m}. which stone is mine
    i was born in {m}, which gem should i wear
    my birthday is in {m}, what is my birthstone
    my birthday is in {m}. which stone is for me
    my sister was born in {m}. what is her birthstone
    my friend was born in {m}, what birthstone does he have
    what birthstone do people born in {m} have
    what is my stone if i was born in {m}
    which stone should someone born in {m} wear
    tell me the birthstone for {m}
    tell me the birthstone of {m}
    can you tell me the birthstone for {m}
    could you name the birthstone of {m}
    name the birthstone for {m}
    do you know the birthstone of {m}
    i want to know the birthstone for {m}
    i would like to know {m}'s birthstone
    {m} birthstone
    birthstone {m}
    birthstone for {m}
    birthstone of {m}
    the birthstone for {m}
    what is {m}'s birthstone
    what is {m}'s stone
    for {m}, what is the birthstone
    which gem is for {m}
    what is the stone of the month {m}
    """)

for attribute in QUESTIONS:
    reserve(QUESTIONS[attribute], NOUN_PHRASES[attribute], CLAUSES[attribute], SHORT[attribute],
            ITS_QUESTIONS[attribute])
reserve(ASK_NOUN, ASK_CLAUSE)
reserve(MONTH_QUESTIONS)

# Never held out: ways of asking that were added after the held-out frames were drawn.
for attribute, block in {
    "hardness": """
        how strong {is} {g}
        how tough {is} {g}
        how durable {is} {g}
        {is} {g} soft
        can i scratch {g}
        can {g} be scratched
        what is the mohs scale value of {g}
        how many points {do} {g} have on the mohs scale
        what level of hardness {do} {g} have
        hardness: {g}
        how {do} {g} score for hardness
        what rank {do} {g} have on the mohs scale
        which rating {do} {g} get on the mohs scale
        rating of {G}
        """,
    "colour": """
        {is} {g} red
        {is} {g} green
        {is} {g} blue
        {is} {g} black or white
        what colour exactly {is} {g}
        what is the main colour of {g}
        what colour do people know {g} for
        what colours {is} {g} found in
        what colours are there for {g}
        which colours can {g} have
        colour: {g}
        the hue of {G}
        which hue {do} {g} have
        how would you describe {gs} colour
        what appearance {do} {g} have
        """,
    "system": """
        {is} {g} a cubic crystal
        {is} {g} trigonal
        what is the crystal lattice of {g}
        which crystals {do} {g} have
        what are the crystals of {g} like
        what is the crystallography of {g}
        what is the symmetry of {g}
        which symmetry {do} {g} show
        what symmetry {is} typical of {g}
        the symmetry of {g}
        symmetry of {G}
        which crystal symmetry {do} {g} have
        which lattice {do} {g} have
        in what shape {do} {g} crystallise
        how do crystals of {g} look
        crystal system: {g}
        """,
    "matter": """
        what {is} {g}
        what exactly {is} {g}
        tell me about {g}
        tell me something about {g}
        can you tell me something about {g}
        can you tell me about {g}
        what can you tell me about {g}
        what do you know about {g}
        do you know {g}
        explain {g}
        i want to learn about {g}
        give me information about {g}
        information about {g}
        talk about {g}
        {G}
        composition: {g}
        formula of {G}
        the formula of {g}
        tell me what {is} in {g}
        what substances are in {g}
        what {is} contained in {g}
        what ingredients {do} {g} have
        which elements {is} {g} made of
        what is the mineral of {g}
        """,
    "place": """
        where {is} {g} located
        where {is} {g} dug up
        which countries have {g}
        which countries produce {g}
        in which countries {is} {g} found
        where on earth {is} {g} found
        what are the main sources of {g}
        where are the mines of {g}
        origin: {g}
        what part of the world {do} {g} come from
        in what part of the world do people find {g}
        which region has {g}
        what places have {g}
        where {do} {g} turn up
        which land has {g}
        """,
    "month": """
        {is} {g} my birthstone
        when {is} {g} the birthstone
        who has {g} as a birthstone
        which month is {g} for
        what month is {g} for
        in which month {is} {g} the birthstone
        birthstone month: {g}
        """}.items():
    QUESTIONS[attribute] += [f for f in lines(block) if f not in HELD_OUT]
