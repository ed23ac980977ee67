"""Complete questions about one attribute of a stone.

Placeholders: {g} the stone ("ruby", "a ruby", "rubies"), {gs} its possessive, {is} {do} {have}
verbs that agree with it, {G} the bare name.
"""

from .held_out import HELD_OUT, lines, reserve
from .phrase_frames import CLAUSES, ITS_QUESTIONS, NOUN_PHRASES, SHORT

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

for attribute in QUESTIONS:
    reserve(QUESTIONS[attribute], NOUN_PHRASES[attribute], CLAUSES[attribute], SHORT[attribute],
            ITS_QUESTIONS[attribute])

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
