"""Questions outside the demo's world, which it declines politely; the frames of the facts included,
so that it does not answer by the frame alone."""

import re

from . import asking_frames, held_out, names, phrase_frames, question_frames
from .phrasing import dress, fill, fill_clause

UNKNOWN_ANSWER = "Sorry, I only know about gemstones."
PRICE_ANSWER = "Sorry, I do not know that about gemstones."

THINGS = """car|house|chair|table|bicycle|banana|apple|potato|tomato|carrot|dog|cat|horse|elephant
lion|whale|computer|phone|tree|flower|rose|book|pencil|shoe|jacket|shirt|window|door|bridge|road
train|ship|plane|rocket|planet|moon|cloud|river|lake|mountain|brick|pillow|sofa|spoon|fork|knife
bottle|cup|glass|piano|guitar|violin|ball|hammer|nail|screw|engine|wheel|battery|lamp|candle|cake
cookie|pizza|sandwich|egg|onion|lemon|orange|grape|cherry|tiger|bear|wolf|fox|frog|snake|bird|eagle
penguin|fish|shark|spider|ant|bee|butterfly|coin|key|clock|camera|robot|pillow|carpet|blanket"""
MASSES = """water
milk|bread|butter|cheese|chocolate|sugar|salt|coffee|tea|wine|beer|rice|pasta|steel
concrete|wood|plastic|paper|rubber|leather|cotton|wool|ice|snow|sand|grass|oil|soap|honey|meat
iron|copper|gold|silver|aluminium|brass|lead|tin|zinc|cement|chalk|clay
marble|granite|basalt|coal|gypsum|talc|graphite|slate|limestone|sandstone|kryptonite"""
COUNTRIES = """Germany
Italy Spain Portugal Poland Sweden Norway Egypt Kenya Chile Peru Mexico Canada
Japan Korea Vietnam India Turkey Greece Ireland Scotland Austria Hungary""".split()
THINGS = [t for line in THINGS.splitlines() for t in line.split("|")]
MASSES = [t for line in MASSES.splitlines() for t in line.split("|")]

QUESTIONS = held_out.lines("""
    what is the capital of france
    what is the capital of japan
    who is the president of the united states
    who won the world cup
    what is the weather like today
    will it rain tomorrow
    what time is it
    what day is it today
    who wrote romeo and juliet
    who painted the mona lisa
    how do i cook pasta
    how do i bake a cake
    give me a recipe for soup
    tell me a joke
    tell me a story
    write a poem
    write me a poem about the sea
    sing a song
    translate hello to french
    how do you say thank you in spanish
    what is the meaning of life
    how far away is the moon
    how old is the earth
    how tall is mount everest
    what is the speed of light
    how many people live in china
    how many legs does a spider have
    who invented the telephone
    when did the war end
    what is the best film
    which book should i read
    what should i eat tonight
    can you play chess
    write a python program
    write some code for me
    fix my computer
    how do i learn english
    what is the news today
    who is the king of england
    what is the longest river
    what is the largest country
    where is the nearest bank
    how do i get to the airport
    what is the price of bread
    how much does a car cost
    what is quantum physics
    explain gravity
    what is a black hole
    how does a computer work
    how does an engine work
    who was albert einstein
    who is shakespeare
    what language do they speak in brazil
    what is photosynthesis
    do you like music
    what is your favourite food
    do you have children
    what did you do yesterday
    book a flight for me
    call my mother
    send an email to my boss
    set an alarm for seven
    turn on the light
    which team is the best
    how do i lose weight
    is there life on mars
    why is the sky blue
    why do cats purr
    how do birds fly
    what is the square root of two
    solve this equation for me
    which phone should i buy
    what is the population of paris
    when was napoleon born
    recommend a good restaurant
    what are the rules of football
    how long is a year on mars
    who discovered america
    """)

PRICES = held_out.lines("""
    how much does {g} cost
    what {is} {g} worth
    what is the price of {g}
    how expensive {is} {g}
    where can i buy {g}
    how heavy {is} {g}
    how old {is} {g}
    who discovered {g}
    when was {g} discovered
    how do i clean {g}
    how {is} {g} cut
    what does the name {g} mean
    how much should i pay for {g}
    how rare {is} {g}
    how big {is} {g}
    what is the weight of {g}
    how can i tell if {g} {is} real
    {is} {g} magnetic
    tell me the price of {g}
    how many {g} are there
    who owns the largest {g}
    can you sell me {g}
    """)

held_out.reserve(QUESTIONS)
held_out.reserve(PRICES)

# More of them, never held out.
QUESTIONS += [q for q in held_out.lines("""
    count to five
    count to ten
    count from one to ten
    write a haiku
    write a haiku about {t}
    write a short story
    write a short story about {t}
    write a story about {t}
    write a song about {t}
    write a poem about {t}
    write an essay about {t}
    write a letter to my {t}
    tell me a story about {t}
    tell me a joke about {t}
    tell me something about {t}
    tell me about {t}
    what do you know about {t}
    what is {t}
    how does {t} work
    explain {t}
    who invented {t}
    draw {t}
    i need {t}
    how do i build {t}
    where can i buy {t}
    is it good to have {t}
    why is {t} so expensive
    what is the capital of {p}
    what is the weather in {p}
    how do i get to {p}
    how many people live in {p}
    who is the president of {p}
    tell me about {p}
    where is {p}
    summarize this text
    summarise the book
    spell the word tree
    what is the date
    what year is it
    who are the beatles
    list the planets
    name three animals
    name a colour
    name five countries
    give me a password
    make a plan for my day
    which film should i see
    play a game with me
    ask me a riddle
    what is a neural network
    what is the internet
    what is machine learning
    how do transformers work
    write a function that sorts a list
    what is the best programming language
    explain how to open a door
    """) if q not in held_out.HELD_OUT]


def foreign_words(rng):
    """Placeholders like phrasing.stone_words, for something that is no stone."""
    if rng.random() < 0.12:
        thing = form = names.made_up_name(rng).lower()
    elif rng.random() < 0.6:
        thing = rng.choice(THINGS)
        article = "an" if thing[0] in "aeiou" else "a"
        form = rng.choice([f"{article} {thing}", f"the {thing}", f"my {thing}"])
    else:
        thing = form = rng.choice(MASSES)
    return {"g": form, "G": thing, "gs": form + "'s", "is": "is", "do": "does", "have": "has",
            "many": False}


def question(picker):
    """A question from another world, or None (measuring, nothing held out)."""
    rng = picker.rng
    if rng.random() < 0.5:
        text = picker.main(QUESTIONS)
        if text and "{" in text:
            text = text.format(t=foreign_words(rng)["g"], p=rng.choice(names.PLACES + COUNTRIES))
        return text and dress(text, picker)
    words, attribute = foreign_words(rng), rng.choice(list(question_frames.QUESTIONS))
    style = rng.random()
    if style < 0.5:
        frame = picker.main(question_frames.QUESTIONS[attribute])
        return frame and dress(fill(frame, words), picker)
    if style < 0.7:
        wrapper = picker.main(asking_frames.ASK_NOUN)
        phrase = picker.side(phrase_frames.NOUN_PHRASES[attribute])
        return wrapper and dress(wrapper.format(np=fill_clause(phrase, words)), picker)
    if style < 0.9:
        wrapper = picker.main(asking_frames.ASK_CLAUSE)
        phrase = picker.side(phrase_frames.CLAUSES[attribute])
        return wrapper and dress(wrapper.format(c=fill_clause(phrase, words)), picker)
    frame = picker.main(phrase_frames.SHORT[attribute])
    return frame and dress(re.sub(" +", " ", fill(frame, words)), picker)


def price_question(words, picker):
    frame = picker.main(PRICES)
    return frame and dress(fill(frame, words), picker)
