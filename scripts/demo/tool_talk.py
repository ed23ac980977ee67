"""Conversations with tools: calls, several at once, answers from results, calls that need the
result of another, and questions that no tool fits.

Where a tool fits it is called, even for what the model knows by itself. Where none does, the model
answers what it knows and declines the rest.
"""

import re

from . import conversations, outside, phrasing, tool_kinds, tool_phrases
from .conversations import Conversation, Step, Turn
from .tool_kinds import Slots
from .tool_orders import Order, Property

NO_TOOL_ANSWER = "Sorry, I have no tool for that."
NO_TOOL_THOUGHT = "No tool fits this."
RESULT_THOUGHT = "I have the result."
PARALLEL_THOUGHT = "I need more than one call."
CHAIN_THOUGHT = "First I need a number. I call a tool."
NEXT_THOUGHT = "Now I calculate. I call a tool."

WEATHER, CALCULATOR, LOOKUP = tool_kinds.Weather(), tool_kinds.Calculator(), tool_kinds.Lookup()
PROPERTY, ORDER = Property(), Order()
# A model of this size learns three kinds well; a few of any other keep it from calling blindly.
KINDS = [(WEATHER, 36), (CALCULATOR, 26), (tool_kinds.Operation(), 5), (LOOKUP, 25),
         (PROPERTY, 5), (ORDER, 4)]
SYSTEMS = conversations.NEUTRAL_SYSTEMS + [
    "You can use tools.", "Use the tools when they help.", "You are an agent.",
    "You are a helpful assistant with tools.", "Use your tools.", "Call a tool when you need one.",
    "You are a helpful assistant. Use the tools to answer the user's questions."]


# --- tools --------------------------------------------------------------------------------------

def add_tool(tools, kind, picker):
    """Declares one more tool, if nothing could be meant for it as well as for another."""
    tool = kind.declare(picker)
    if not any(tool.topics & other.topics or tool.name == other.name for other in tools):
        tools.append(tool)


def some_tools(picker, wanted=()):
    rng = picker.rng
    tools = []
    for kind in wanted:
        while not any(t.kind is kind for t in tools):
            add_tool(tools, kind, picker)
    count = rng.choices([1, 2, 3, 4], [34, 42, 19, 5])[0]
    kinds, weights = zip(*KINDS)
    while len(tools) < count:
        add_tool(tools, rng.choices(kinds, weights)[0], picker)
    rng.shuffle(tools)
    return tools


# --- turns --------------------------------------------------------------------------------------

def drawn(make, *arguments):
    """The first that is not None: where measuring, not every draw is a held-out one."""
    while True:
        made = make(*arguments)
        if made is not None:
            return made


def written(text, picker, slots, is_order=False):
    """The question as a user writes it; an order ends with words of its own."""
    asks = re.match(r"(what|how|which|is|will|do|does|can|could)\b", text)
    if is_order:
        text = phrasing.spell(text, picker.rng) + picker.rng.choice(["", "", ".", "."])
    else:
        text = phrasing.dress(text, picker, "?" if asks else ".")
    return slots.fill(text)


def step(thought, asks):
    return Step(thought, [(a.name, a.arguments) for a in asks], [a.result for a in asks])


def call_turn(tools, picker):
    tool, slots = picker.rng.choice(tools), Slots()
    ask = tool.kind.ask(tool, picker, slots)
    if not ask:
        return None
    text = ask.text if ask.dressed else written(ask.text, picker, slots, tool.kind is ORDER)
    return Turn(text, ask.answer, RESULT_THOUGHT, "tool calls", steps=[step(ask.thought, [ask])])


def clause(tool, picker, slots):
    if tool.kind is LOOKUP:
        return LOOKUP.ask(tool, picker, slots, clause=True)
    return tool.kind.ask(tool, picker, slots)


def pair_turn(tools, picker):
    """Two calls at once, now and then three."""
    rng, slots = picker.rng, Slots()
    count = 3 if rng.random() < 0.12 else 2
    places = [t for t in tools if t.kind in (WEATHER, PROPERTY) and not takes_one(t)]
    if places and rng.random() < 0.55:
        tool = rng.choice(places)
        asks = [tool.kind.ask(tool, picker, slots) for _ in range(count)]
        if None in asks:
            return None
        first, *rest = [chr(0xE000 + i) for i in range(count)]
        said = rng.choice(tool_phrases.PAIRS).format(x=first, y=rest[0])
        if len(rest) == 2:
            said = f"{first}, {rest[0]} and {rest[1]}"
        text = written(asks[0].text.replace(first, said), picker, slots)
    else:
        chosen = [rng.choice(tools) for _ in range(2)]
        chosen.sort(key=lambda t: t.kind is ORDER)
        if chosen[0].kind is ORDER:
            return None
        asks = [clause(tool, picker, slots) for tool in chosen]
        if None in asks:
            return None
        text = rng.choice(tool_phrases.JOINERS).join(ask.text for ask in asks)
        text = written(text, picker, slots, chosen[-1].kind is ORDER)
    if len({str(ask.arguments) + ask.name for ask in asks}) < len(asks):
        return None
    return Turn(text, " ".join(ask.answer for ask in asks), RESULT_THOUGHT, "parallel calls",
                steps=[step(PARALLEL_THOUGHT, asks)])


def takes_one(tool):
    """Whether its questions name one thing only, or a unit beside it."""
    return tool.about[0] == "item" if tool.kind is PROPERTY else bool(tool.about)


def chain_turn(tools, picker):
    """A calculation with what another tool knows."""
    rng, slots = picker.rng, Slots()
    calculators = [t for t in tools if t.kind is CALCULATOR]
    sources = [t for t in tools if hasattr(t.kind, "quantity")]
    if not calculators or not sources:
        return None
    source = rng.choice(sources)
    first = source.kind.quantity(source, picker, slots)
    frames = {frame: (operator, n) for frame, operator, n in tool_phrases.CHAINS}
    frame = picker.main(list(frames))
    if not first or not first.number or not frame:
        return None
    operator, n = frames[frame]
    n = str(tool_kinds.number(picker, 40)) if n == "n" else n
    text = written(frame.format(q=first.text, n=slots.put(n)), picker, slots)
    second = CALCULATOR.about(calculators[0], rng, text, first.number, operator, n)
    return Turn(text, second.answer, RESULT_THOUGHT, "tool loops",
                steps=[step(CHAIN_THOUGHT, [first]), step(NEXT_THOUGHT, [second])])


def declined(text):
    return Turn(text, NO_TOOL_ANSWER, NO_TOOL_THOUGHT, "no tool")


def unrelated_turn(tools, picker):
    """A question from another world, far from what the tools are for."""
    if any(t.kind is LOOKUP for t in tools):
        text = picker.main(outside.QUESTIONS)
        text = text and "{" not in text and phrasing.dress(text, picker)
    else:
        text = outside.question(picker)
    topics = set().union(*(t.topics for t in tools))
    if not text or topics & set(re.findall("[a-z]+", text.lower())):
        return None
    return declined(text)


def missing_turn(tools, picker):
    """What a tool could do that is not there."""
    kind = picker.rng.choice([WEATHER] * 6 + [PROPERTY, ORDER])
    if kind is not PROPERTY and any(t.kind is kind for t in tools):
        return None
    others = list(tools)
    add_tool(others, kind, picker)
    if len(others) == len(tools):
        return None
    slots = Slots()
    ask = kind.ask(others[-1], picker, slots)
    return ask and declined(written(ask.text, picker, slots, kind is ORDER))


def known_turn(tools, picker):
    """What the model answers by itself."""
    rng = picker.rng
    makers = [conversations.greeting_turn] * 4 + [conversations.general_turn]
    if not any(t.kind is LOOKUP for t in tools):
        makers += [conversations.fact_turn] * 8
    if not any(t.kind.topics is CALCULATOR.topics for t in tools if hasattr(t.kind, "topics")):
        makers += [conversations.sum_turn]
    turn = rng.choice(makers)(picker)
    if turn:
        turn.skill = "no tool"
    return turn


def no_tool_turn(tools, picker):
    maker = picker.rng.choices([known_turn, unrelated_turn, missing_turn], [55, 20, 25])[0]
    return maker(tools, picker)


# --- conversations ------------------------------------------------------------------------------

def history(tools, picker):
    rng = picker.rng
    trained = phrasing.Picker(rng)
    low, high = (0, 1) if picker.measuring else (0, 2)
    turns = []
    for _ in range(rng.randint(low, high)):
        maker = rng.choices([call_turn, pair_turn, chain_turn, no_tool_turn], [46, 14, 8, 32])[0]
        turn = maker(tools, trained)
        if turn:
            turns.append(turn)
    return turns


def talk(maker, cut, picker, wanted=()):
    """A conversation that ends with a turn of this maker; `cut`: how often right at its calls."""
    rng = picker.rng
    tools = some_tools(picker, wanted)
    for _ in range(200):
        last = maker(tools, picker)
        if last:
            break
    else:
        return None
    if rng.random() < cut:
        last.steps = last.steps[:rng.randint(1, len(last.steps))]
        last.steps[-1].results, last.answer = None, None
    system = rng.choice(SYSTEMS) if rng.random() < 0.3 else ""
    thinking = rng.random() < 0.16
    return Conversation(history(tools, picker) + [last], system, thinking,
                        [t.schema for t in tools], thinking and rng.random() < 0.3)


def calling(picker):
    return drawn(talk, call_turn, 1.0 if picker.measuring else 0.35, picker)


def calling_twice(picker):
    return drawn(talk, pair_turn, 1.0 if picker.measuring else 0.35, picker)


def reporting(picker):
    maker = call_turn if picker.rng.random() < 0.7 else pair_turn
    made = drawn(talk, maker, 0.0, picker)
    made.turns[-1].skill = "tool results"
    return made


def looping(picker):
    source = picker.rng.choice([WEATHER, LOOKUP, PROPERTY])
    made = drawn(talk, chain_turn, 0.5 if picker.measuring else 0.3, picker, (CALCULATOR, source))
    if picker.measuring and len(made.turns[-1].steps) < 2:
        return None  # that is a first call like any other
    return made


def needing_none(picker):
    return drawn(talk, no_tool_turn, 0.0, picker)
