"""Builds questions out of frames: picks them, fills in the stone, and varies the surface."""

import re

from . import asking_frames, phrase_frames, question_frames
from .held_out import held_out


class Picker:
    """Chooses frames for training, or held-out ones for the list that measures.

    A held-out question has its main frame from the held-out part; what is around it comes from
    either part.
    """

    def __init__(self, rng, measuring=False):
        self.rng = rng
        self.measuring = measuring

    def main(self, options):
        """The frame that carries the question, or None where measuring finds none held out."""
        fitting = [o for o in options if held_out(o) == self.measuring]
        return self.rng.choice(fitting) if fitting else None

    def side(self, options):
        """Anything around it: openings, endings, topics, wrappers of a held-out phrase."""
        if self.measuring:
            return self.rng.choice(options)
        return self.rng.choice([o for o in options if not held_out(o)])


def stone_words(gem, rng):
    """The placeholders of one way of naming a stone."""
    singular = [(gem.name, 6), (f"the {gem.name}", 1)]
    plural = []
    if gem.plural:
        singular += [(f"{gem.article} {gem.name}", 3), (f"the gem {gem.name}", 0.3),
                     (f"{gem.article} {gem.name} stone", 0.4), (f"the stone {gem.name}", 0.3)]
        plural = [(gem.plural, 3), (f"{gem.name} stones", 0.4), (f"{gem.name} gems", 0.3)]
    else:
        singular += [(f"the gem {gem.name}", 0.4), (f"the stone {gem.name}", 0.4),
                     (f"a piece of {gem.name}", 0.5)]
    forms = singular + plural
    form = rng.choices([f for f, _ in forms], [w for _, w in forms])[0]
    many = form in [f for f, _ in plural]
    return {"g": form, "G": gem.plural if many and gem.plural else gem.name,
            "gs": form + ("'" if form.endswith("s") else "'s"),
            "is": "are" if many else "is", "do": "do" if many else "does",
            "have": "have" if many else "has", "many": many}


def fill(frame, words):
    """Fills a frame; in statements "does look" becomes "looks"."""
    return frame.format(**words)


def fill_clause(frame, words):
    ending = "" if words["many"] else "s"
    return re.sub(r"\{do\} (\w+)", lambda m: m.group(1) + ending, frame).format(**words)


def dress(core, picker, ask="?"):
    """Adds an opening, an ending, punctuation and case to a lower-case core."""
    rng = picker.rng
    text = core
    if rng.random() < 0.22:
        text += re.sub(r"^(?!,)", " ", picker.side(asking_frames.ENDINGS))
    if rng.random() < 0.28:
        text = picker.side(asking_frames.OPENINGS) + " " + text
    text = spell(text, rng)
    text += rng.choices([ask, "", ".", "!"], [74, 20, 4, 2])[0]
    return text


def spell(text, rng):
    """British or American spelling; sentence case or all lower case."""
    if rng.random() < 0.4:
        text = text.replace("colour", "color").replace("crystallise", "crystallize")
    if rng.random() < 0.3:
        return text.lower()
    text = re.sub(r"\bi\b", "I", text)
    if rng.random() < 0.8:
        text = re.sub(r"([.!] )([a-z])", lambda m: m.group(1) + m.group(2).upper(), text)
    return text[0].upper() + text[1:]


def ask_fact(gem, attribute, picker):
    """One question about one attribute of a stone, or None (measuring, nothing held out)."""
    rng = picker.rng
    words = stone_words(gem, rng)
    style = rng.choices(["question", "noun", "clause", "short", "topic"], [45, 20, 17, 8, 10])[0]
    return STYLES[style](words, attribute, picker)


def _question(words, attribute, picker):
    frame = picker.main(question_frames.QUESTIONS[attribute])
    return frame and dress(fill(frame, words), picker)


def _wrapped(wrappers, key, phrases, words, picker):
    """A phrase inside a way of asking; measuring, at least one of the two is held out."""
    if picker.measuring and picker.rng.random() < 0.5:
        wrapper, phrase = picker.side(wrappers), picker.main(phrases)
    else:
        wrapper, phrase = picker.main(wrappers), picker.side(phrases)
    if not wrapper or not phrase:
        return None
    return dress(wrapper.format(**{key: fill_clause(phrase, words)}), picker)


def _noun(words, attribute, picker):
    return _wrapped(asking_frames.ASK_NOUN, "np", phrase_frames.NOUN_PHRASES[attribute], words,
                    picker)


def _clause(words, attribute, picker):
    return _wrapped(asking_frames.ASK_CLAUSE, "c", phrase_frames.CLAUSES[attribute], words, picker)


def _short(words, attribute, picker):
    frame = picker.main(phrase_frames.SHORT[attribute])
    if not frame:
        return None
    text = fill(frame, words)
    rng = picker.rng
    if rng.random() < 0.15:
        text += " please"
    return spell(text, rng) + rng.choices(["", "?", "."], [60, 35, 5])[0]


def _topic(words, attribute, picker):
    topic = picker.side(asking_frames.TOPICS)
    frame = picker.main(phrase_frames.ITS_QUESTIONS[attribute])
    if not frame:
        return None
    if words["many"]:
        frame = pluralise(frame)
    return dress(topic.format(**words) + " " + frame, picker)


def pluralise(frame):
    """"how hard is it" -> "how hard are they"."""
    for pattern, plural in [(r"\bis it\b", "are they"), (r"\bdoes it\b", "do they"),
                            (r"\bdoes that stone\b", "do they"), (r"\bis that stone\b", "are they"),
                            (r"\bits\b", "their"), (r"\bcan it\b", "can they"),
                            (r"\bfind it\b", "find them"), (r"\bwith it\b", "with them")]:
        frame = re.sub(pattern, plural, frame)
    return frame


def ask_its(attribute, picker):
    """A follow-up question about the stone of the turn before."""
    frame = picker.main(phrase_frames.ITS_QUESTIONS[attribute])
    return frame and dress(frame, picker)


STYLES = {"question": _question, "noun": _noun, "clause": _clause, "short": _short,
          "topic": _topic}
