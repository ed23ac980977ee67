"""Ways of asking, whatever is asked: around a noun phrase {np} or an indirect clause {c}; openings,
endings, topics {g}; and the birthstone of a month {m}."""

from .held_out import lines, reserve

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
    in one sentence
    in a few words
    in short
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

reserve(ASK_NOUN, ASK_CLAUSE)
reserve(MONTH_QUESTIONS)
