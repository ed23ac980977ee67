"""What a conversation is, and the skills without tools: each a function for skills.MIXTURE."""

import dataclasses
import json

from . import asking_frames, gems, held_out, memory, outside, phrasing, small_talk


@dataclasses.dataclass
class Step:
    """Calls that go out together, and what they gave."""
    thought: str
    calls: list           # (name, arguments)
    results: list | None  # texts, or None where the conversation ends with the calls


@dataclasses.dataclass
class Turn:
    user: str
    answer: str | None    # None where the conversation ends with calls
    thought: str          # before the answer
    skill: str
    gem: gems.Gem | None = None
    steps: list = dataclasses.field(default_factory=list)

    def messages(self, with_thoughts):
        """The calls that are answered, and their results."""
        result = []
        for step in self.steps:
            if step.results is None:
                break
            ids = [f"call_{n}" for n in range(len(step.calls))]
            message = {"role": "assistant", "content": None, "tool_calls": [
                {"id": i, "type": "function",
                 "function": {"name": name, "arguments": json.dumps(arguments)}}
                for i, (name, arguments) in zip(ids, step.calls)]}
            if with_thoughts:
                message["reasoning_content"] = step.thought
            result.append(message)
            result += [{"role": "tool", "tool_call_id": i, "content": text}
                       for i, text in zip(ids, step.results)]
        return result


@dataclasses.dataclass
class Conversation:
    turns: list
    system: str = ""
    thinking: bool = False
    tools: list = dataclasses.field(default_factory=list)
    forgetful: bool = False  # the client sends no thoughts back

    @property
    def skill(self):
        return self.turns[-1].skill

    def messages(self):
        """Everything up to what the model has to say, as a client sends it."""
        result = [{"role": "system", "content": self.system}] if self.system else []
        for turn in self.turns[:-1]:
            result.append({"role": "user", "content": turn.user})
            result += turn.messages(with_thoughts=False)
            result.append({"role": "assistant", "content": turn.answer})
        last = self.turns[-1]
        result.append({"role": "user", "content": last.user})
        return result + last.messages(self.thinking and not self.forgetful)

    def expected_calls(self):
        """The calls that the model has to make, or None where it has to answer."""
        return self.turns[-1].steps[-1].calls if self.turns[-1].answer is None else None


NEUTRAL_SYSTEMS = [
    "You are a helpful assistant.", "You are a helpful assistant", "Be helpful.", "Be polite.",
    "You are a friendly assistant.", "You are an expert on gemstones.", "Answer questions.",
    "You answer questions about gemstones.", "Help the user.", "Answer briefly.", "Be concise.",
    "You are a helpful, honest assistant.", "Answer the user's questions.", "Be brief and clear.",
    "You are a chat assistant.", "You are a museum guide.", "Answer in English.",
    "You are a helpful AI assistant. Answer clearly.", "Give short answers."]


# --- single turns -------------------------------------------------------------------------------

def fact_turn(picker):
    rng = picker.rng
    if rng.random() < 0.07:
        month = rng.choice(list(gems.MONTH_STONES))
        frame = picker.main(asking_frames.MONTH_QUESTIONS)
        text = phrasing.dress(frame.format(m="QQ"), picker)
        text = text.replace("QQ", month).replace("qq", month.lower())
        return Turn(text, gems.month_answer(month), gems.month_thought(month), "facts",
                    gems.BY_NAME[gems.MONTH_STONES[month]])
    gem, attribute = rng.choice(gems.GEMS), rng.choice(gems.ATTRIBUTES)
    text = phrasing.ask_fact(gem, attribute, picker)
    return text and Turn(text, gems.answer(gem, attribute), gems.thought(gem, attribute),
                         "facts", gem)


def _remark_turn(kinds, skill, picker):
    kind = picker.rng.choice(kinds)
    text = small_talk.remark(kind, picker)
    return text and Turn(text, small_talk.ANSWERS[kind], small_talk.THOUGHTS[kind], skill)


def greeting_turn(picker):
    return _remark_turn(small_talk.GREETING_KINDS + ["hello"], "greetings", picker)


def general_turn(picker):
    return _remark_turn(small_talk.GENERAL_KINDS, "general", picker)


def outside_turn(picker):
    rng = picker.rng
    if rng.random() < 0.2:
        gem = rng.choice(gems.GEMS)
        text = outside.price_question(phrasing.stone_words(gem, rng), picker)
        return text and Turn(text, outside.PRICE_ANSWER,
                             "The user asks something about a stone that I do not know.",
                             "outside", gem)
    text = outside.question(picker)
    return text and Turn(text, outside.UNKNOWN_ANSWER, "This is not about gemstones.", "outside")


SUM_FRAMES = held_out.lines("""
    what is {a} + {b}
    what is {a} plus {b}
    what's {a} + {b}
    how much is {a} + {b}
    how much is {a} plus {b}
    {a} + {b}
    {a}+{b}
    {a} plus {b}
    calculate {a} + {b}
    compute {a} + {b}
    add {a} and {b}
    can you add {a} and {b}
    please add {a} and {b}
    what do you get for {a} + {b}
    what is the sum of {a} and {b}
    the sum of {a} and {b}
    tell me {a} + {b}
    tell me what {a} plus {b} is
    can you calculate {a} + {b}
    do you know what {a} + {b} is
    what does {a} + {b} give
    i need {a} + {b}
    give me the sum of {a} and {b}
    """)

held_out.reserve(SUM_FRAMES)


LARGE_FRAMES = held_out.lines("""
    what is {a} times {b}
    what is {a} minus {b}
    what is {a} * {b}
    what is {a} - {b}
    what is {a} divided by {b}
    {a} times {b}
    {a} minus {b}
    {a} * {b}
    {a} - {b}
    {a} / {b}
    how much is {a} times {b}
    how much is {a} minus {b}
    multiply {a} and {b}
    multiply {a} by {b}
    subtract {a} from {b}
    divide {a} by {b}
    calculate {a} * {b}
    what is {a}{c} + {b}{d}
    what is {a}{c} plus {b}
    {a}{c} + {b}{d}
    what is {a}{c}{d} + {b}
    how much is {a} + {b}{c}
    add {a}{c} and {b}{d}
    what is {a} + {b} + {c}
    """)


def large_sum_turn(picker):
    """Arithmetic beyond one-digit sums, declined."""
    a, b, c, d = (picker.rng.randint(1, 9) for _ in range(4))
    text = phrasing.spell(picker.main(LARGE_FRAMES).format(a=a, b=b, c=c, d=d), picker.rng)
    return Turn(text + picker.rng.choice(["?", "?", "", ".", " ="]),
                "Sorry, I can only add numbers from 0 to 9.",
                "This is more than a sum of two digits.", "arithmetic")


def sum_turn(picker):
    if not picker.measuring and picker.rng.random() < 0.15:
        return large_sum_turn(picker)
    a, b = picker.rng.randint(0, 9), picker.rng.randint(0, 9)
    frame = picker.main(SUM_FRAMES)
    text = phrasing.spell(frame.format(a=a, b=b), picker.rng)
    text += picker.rng.choice(["?", "?", "", " =", "."])
    return Turn(text, f"{a} + {b} = {a + b}.", f"I add {a} and {b}.", "arithmetic")


# --- skills -------------------------------------------------------------------------------------

FILLERS = [(fact_turn, 6), (greeting_turn, 3), (outside_turn, 1), (general_turn, 1)]


def filler(picker):
    """An unrelated turn, for a history."""
    trained = phrasing.Picker(picker.rng)
    makers, weights = zip(*FILLERS)
    return picker.rng.choices(makers, weights)[0](trained)


def surround(turn, picker):
    """A single turn as a conversation: mostly alone, sometimes after others."""
    rng = picker.rng
    count = rng.choices([0, 1, 2, 3, 4, 6, 10], [46, 20, 14, 10, 6, 3, 1])[0]
    turns = [filler(picker) for _ in range(count)] + [turn]
    system = rng.choice(NEUTRAL_SYSTEMS) if rng.random() < 0.15 else ""
    return Conversation(turns, system, rng.random() < 0.18)


def single(maker):
    def skill(picker):
        turn = maker(picker)
        return turn and surround(turn, picker)
    return skill


def follow_up(picker):
    """A question about "it", the stone of the turn before; or "and the ruby?"."""
    rng = picker.rng
    trained = phrasing.Picker(rng)
    first = fact_turn(trained)
    turns = [filler(picker) for _ in range(rng.choices([0, 1, 2], [70, 20, 10])[0])] + [first]
    for _ in range(rng.choices([1, 2, 3], [60, 30, 10])[0]):
        attribute = rng.choice(gems.ATTRIBUTES)
        text = phrasing.ask_its(attribute, picker)
        if not text:
            return None
        turns.append(Turn(text, gems.answer(first.gem, attribute),
                          gems.thought(first.gem, attribute), "follow-up", first.gem))
    return Conversation(turns, thinking=rng.random() < 0.15)


def remembering(picker):
    """Something the user said some turns ago."""
    rng = picker.rng
    told, asked = memory.exchange(picker)
    if not asked:
        return None
    middle = [filler(picker) for _ in range(rng.choices([0, 1, 2, 3, 5], [35, 30, 20, 10, 5])[0])]
    before = [filler(picker) for _ in range(rng.choices([0, 1, 2], [75, 18, 7])[0])]
    if not picker.measuring and rng.random() < 0.35:  # the reply to what was told, as a last turn
        return Conversation(before + [Turn(*told, "memory")], thinking=rng.random() < 0.12)
    turns = before + [Turn(*told, "memory")] + middle + [Turn(*asked, "memory")]
    return Conversation(turns, thinking=rng.random() < 0.12)


def repeating(picker):
    told = memory.repetition(picker)
    return told and surround(Turn(*told, "repeating"), picker)


def obeying(picker):
    """A system prompt that changes the name, the first or the last word of the answers."""
    rng = picker.rng
    system, change, name = memory.instruction(picker)
    if not system:
        return None
    turns = []
    for i in range(rng.choices([1, 2, 3], [55, 30, 15])[0]):
        asker = phrasing.Picker(rng)
        if name and rng.random() < 0.7:
            kind = "identity"
            answer = f"I am {name}, a very small model that knows gemstones."
            turn = Turn(small_talk.remark(kind, asker), answer, small_talk.THOUGHTS[kind], "system")
        else:
            turn = rng.choice([fact_turn, greeting_turn])(asker)
            if name and turn.answer == small_talk.ANSWERS["identity"]:
                turn.answer = f"I am {name}, a very small model that knows gemstones."
        turn.answer, turn.skill = change(turn.answer), "system"
        turns.append(turn)
    return Conversation(turns, system, rng.random() < 0.12)
