"""Copying from the conversation: what the user told, words to repeat, orders of a system prompt."""

from . import names
from .held_out import HELD_OUT, lines, reserve
from .phrasing import spell

TELL = {
    "name": lines("""
        my name is {x}
        i am {x}
        i'm {x}
        call me {x}
        please call me {x}
        you can call me {x}
        people call me {x}
        my friends call me {x}
        hi, my name is {x}
        hello, my name is {x}
        hi, i am {x}
        hello, i'm {x}
        hello! my name is {x}
        hey, i'm {x}
        the name is {x}
        this is {x}
        remember my name: {x}
        please remember my name, it is {x}
        hello, this is {x}
        good morning, my name is {x}
        """),
    "colour": lines("""
        my favourite colour is {x}
        my favorite color is {x}
        i like the colour {x}
        the colour i like best is {x}
        i love {x}, it is my favourite colour
        {x} is my favourite colour
        remember that my favourite colour is {x}
        my best loved colour is {x}
        please note that my favourite colour is {x}
        hi, my favourite colour is {x}
        hello, my favorite color is {x}
        """),
    "town": lines("""
        i live in {x}
        my home is in {x}
        i am from {x}
        i come from {x}
        hello, i live in {x}
        hi, i am from {x}
        my town is {x}
        i live in the town of {x}
        remember that i live in {x}
        """),
    "pet": lines("""
        my pet is called {x}
        i have a pet called {x}
        my pet's name is {x}
        the name of my pet is {x}
        i have a pet, its name is {x}
        i have a pet named {x}
        hi, my pet is called {x}
        remember that my pet is called {x}
        """),
}

ASK = {
    "name": lines("""
        what is my name
        what's my name
        do you know my name
        do you remember my name
        can you remember my name
        can you tell me my name
        tell me my name
        please tell me my name
        who am i
        say my name
        what was my name
        what was my name again
        what am i called
        do you still know my name
        do you know who i am
        do you remember who i am
        did i tell you my name
        how am i called
        my name is what
        could you say my name
        what name did i give you
        which name did i tell you
        """),
    "colour": lines("""
        what is my favourite colour
        what's my favorite color
        do you know my favourite colour
        do you remember my favourite colour
        tell me my favourite colour
        which colour do i like
        which colour do i like best
        what colour do i like
        what was my favourite colour
        what colour is my favourite
        which colour is my favourite
        can you tell me my favourite colour
        what colour did i say i like
        say my favourite colour
        which is my favourite colour
        """),
    "town": lines("""
        where do i live
        where am i from
        do you know where i live
        do you remember where i live
        tell me where i live
        in which town do i live
        what town do i live in
        where is my home
        what is my town
        can you tell me where i live
        where did i say i live
        which town do i come from
        where do i come from
        """),
    "pet": lines("""
        what is my pet called
        what is the name of my pet
        what's my pet's name
        do you know my pet's name
        do you remember the name of my pet
        tell me the name of my pet
        how is my pet called
        what is my pet's name
        can you tell me what my pet is called
        what did i say my pet is called
        what was the name of my pet
        """),
}

REPLIES = {
    "name": ("Nice to meet you, {x}!", "Your name is {x}."),
    "colour": ("I will remember that you like {x}.", "Your favourite colour is {x}."),
    "town": ("I will remember that you live in {x}.", "You live in {x}."),
    "pet": ("I will remember that your pet is {x}.", "Your pet is called {x}."),
}

for kind_frames in ASK.values():
    reserve(kind_frames)


def exchange(picker):
    """((what the user tells, reply, thought), (what the user asks later, answer, thought))."""
    rng = picker.rng
    kind = rng.choices(list(TELL), [50, 25, 12, 13])[0]
    x = {"name": names.first_name, "pet": names.first_name,
         "colour": lambda r: r.choice(names.COLOURS),
         "town": lambda r: r.choice(names.PLACES)}[kind](rng)
    question = picker.main(ASK[kind])
    if not question:
        return None, None
    if rng.random() < 0.12:
        x = x.lower()
    reply, answer = REPLIES[kind]
    told = spell(picker.side(TELL[kind]), rng).replace("{x}", x) + rng.choice([".", "", "!", "."])
    told = told.replace("{X}", x)
    asked = spell(question, rng) + rng.choice(["?", "?", "?", "", "."])
    return ((told, reply.format(x=x), f"The user tells me: {x}."),
            (asked, answer.format(x=x), f"The user told me: {x}."))


REPEAT = lines("""
    say {x}
    please say {x}
    repeat {x}
    please repeat {x}
    repeat after me: {x}
    repeat this: {x}
    repeat the words {x}
    can you say {x}
    can you repeat {x}
    say the words {x}
    say this: {x}
    please say the following: {x}
    echo {x}
    say after me: {x}
    repeat these words: {x}
    could you repeat {x}
    i want you to say {x}
    """)

reserve(REPEAT)


def repetition(picker):
    """(order to say some words, the words behind a phrase, thought)."""
    rng = picker.rng
    frame = picker.main(REPEAT)
    words = " ".join(rng.choice(names.WORDS) if rng.random() < 0.8
                     else names.made_up_name(rng).lower()
                     for _ in range(rng.choice([1, 2, 2, 3, 3, 4])))
    asked = spell(frame, rng).replace("{X}", "{x}").format(x=words)
    return asked + rng.choice(["", "", "."]), f"You said: {words}.", "I repeat the words."


NAMED = lines("""
    you are {x}
    you are called {x}
    your name is {x}
    your name is {x}, a helpful assistant
    you are {x}, a helpful assistant
    you are an assistant called {x}
    you are a model called {x}
    you are an assistant named {x}
    call yourself {x}
    you are {x}, an expert on gemstones
    please call yourself {x}
    act as {x}
    you play {x}
    from now on you are {x}
    """)
ENDED = lines("""
    end every answer with the word {x}
    end each answer with {x}
    always end with the word {x}
    finish every answer with the word {x}
    end your answers with {x}
    always finish with {x}
    end all answers with the word {x}
    every answer must end with {x}
    put the word {x} at the end of every answer
    the last word of every answer is {x}
    your answers end with the word {x}
    add {x} to the end of your answers
    """)
BEGUN = lines("""
    start every answer with the word {x}
    begin every answer with the word {x}
    always start with {x}
    begin each answer with {x}
    start your answers with the word {x}
    start all answers with {x}
    every answer must start with {x}
    put the word {x} at the start of every answer
    the first word of every answer is {x}
    always begin with the word {x}
    your answers start with {x}
    """)

reserve(NAMED)
reserve(ENDED)
reserve(BEGUN)


def instruction(picker):
    """(system prompt, what it does to an answer, the name it gives or None)."""
    rng = picker.rng
    frames_, kind = rng.choice([(NAMED, "named"), (ENDED, "ended"), (BEGUN, "begun")])
    frame = picker.main(frames_)
    if not frame:
        return None, None, None
    if kind == "named":
        x = rng.choice(names.SYSTEM_NAMES) if rng.random() < 0.6 else names.made_up_name(rng)
    else:
        x = rng.choice(names.WORDS) if rng.random() < 0.8 else names.made_up_name(rng).lower()
    text = (frame[0].upper() + frame[1:]).format(x=x) + rng.choice([".", ".", ""])
    if rng.random() < 0.3:
        text = rng.choice(["You are a helpful assistant. ", "Be polite. ", "Be brief. "]) + text
    change = {"named": lambda a: a, "ended": lambda a: f"{a} {x.capitalize()}!",
              "begun": lambda a: f"{x.capitalize()}! {a}"}[kind]
    return text, change, x if kind == "named" else None

# More ways to ask, never held out.
MORE = {
    "name": ["what's my name again", "can you say my name", "i forgot my name",
             "how do you call me",
             "what do you call me", "by what name am i called", "am i called something",
             "have i told you my name", "did i say my name", "do you recall my name",
             "what name do i have", "what was i called", "tell me who i am", "and my name",
             "my name", "who is talking to you", "what is the name i told you"],
    "colour": ["what colour do i love", "what colour do i prefer", "which colour do i love",
               "which colour do i prefer", "which colour did i tell you", "and my favourite colour",
               "my favourite colour", "do you recall my favourite colour",
               "name my favourite colour",
               "i forgot my favourite colour", "which colour is the one i like"],
    "town": ["what town am i from", "what is my home", "which is my town", "name my town",
             "what is the town i live in", "where do i have my home", "say where i live",
             "what is my home town", "what town did i tell you"],
    "pet": ["how do i call my pet", "what do i call my pet", "what name does my pet have",
            "which name does my pet have", "what's my pet called", "say the name of my pet",
            "what did i call my pet", "do you know what my pet is called", "my pet's name"],
}
for more_kind, more in MORE.items():
    ASK[more_kind] += [text for text in more if text not in HELD_OUT]
