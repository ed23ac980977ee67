"""More kinds of tools, as tool_kinds.py has them: something of somebody, orders to do things."""

import json

from . import names, outside, tool_phrases
from .tool_kinds import Ask, Tool, city, declare, distinct, number, or_error, parameter, pick_name
from .tool_kinds import told


class Property:
    """The price of a thing, the birthday of a person: a tool that knows one noun."""

    KEYS = {"person": "person name who user employee id".split(),
            "place": "city place town location name where".split(),
            "item": "item product name thing article id".split()}
    OF = {"person": ["a person", "somebody", "a user", "an employee"],
          "place": ["a city", "a place", "a town"], "item": ["a thing", "an item", "a product"]}
    SAID = ["Get the {n} of {o}.", "Finds the {n} of {o}.", "The {n} of {o}.", "Look up the {n}.",
            "Returns the {n} of {o}.", "Tells the {n} of {o}.", "{N} of {o}"]
    thought = "A tool knows this. I call it."

    def declare(self, picker):
        rng = picker.rng
        owner = rng.choice(list(tool_phrases.NOUNS))
        noun = rng.choice(list(tool_phrases.NOUNS[owner]))
        short = noun.replace(" ", "_")
        name = pick_name(rng, [f"get_{short}", short, f"find_{short}", f"{short}_of",
                               f"{short}_lookup", f"lookup_{short}", f"query_{short}"])
        key, = distinct(rng, self.KEYS[owner])
        said = [s.format(n=noun, N=noun.capitalize(), o=rng.choice(self.OF[owner]))
                for s in self.SAID]
        properties = {key: parameter(rng, "string", ["Which one", "The name"])}
        schema = declare(rng, name, said, properties)
        topics = set(noun.split()) | {"cost" if noun == "price" else "price" if noun == "cost"
                                      else noun, "clock" if noun == "time" else noun}
        return Tool(self, name, {"owner": key}, schema, topics, (owner, noun))

    def ask(self, tool, picker, slots):
        rng = picker.rng
        owner, noun = tool.about
        frame = picker.main(tool_phrases.ASK_OF)
        if not frame:
            return None
        value, spoken, said = self.somebody(owner, picker, slots)
        return self.about(tool, rng, frame.format(n=noun, x=said), value, spoken)

    def somebody(self, owner, picker, slots):
        """The argument, how an answer names it, how the question does."""
        rng = picker.rng
        if owner == "place":
            name = city(picker)
        elif owner == "person":
            name = names.made_up_name(rng) if picker.measuring else names.first_name(rng)
        else:
            thing = rng.choice(outside.THINGS)
            if picker.measuring or rng.random() < 0.35:
                thing = names.made_up_name(rng).lower()
            return thing, f"the {thing}", rng.choice(["the ", "the ", "a ", ""]) + slots.put(thing)
        return name, name, slots.put(name)

    def about(self, tool, rng, text, value, spoken):
        noun = tool.about[1]
        kind = tool_phrases.NOUNS[tool.about[0]][noun]
        said = {"number": lambda: str(rng.randint(1, rng.choice([50, 100, 1000, 10000]))),
                "digits": lambda: str(rng.randint(100000, 9999999)),
                "clock": lambda: f"{rng.randint(0, 23)}:{rng.randint(10, 59)}",
                "name": lambda: rng.choice(names.FIRST_NAMES),
                "words": lambda: " ".join(rng.sample(names.WORDS, rng.choice([1, 1, 2])))}[kind]()
        key = rng.choice([noun.replace(" ", "_"), "value", "result"])
        data = {key: json.loads(said) if kind == "number" else said}
        if rng.random() < 0.15:
            data[tool.keys["owner"]] = value
        plain = [said, said, f"The {noun} of {spoken} is {said}.", f"{noun}: {said}"]
        return or_error(rng, Ask(text, tool.name, {tool.keys["owner"]: value},
                                 told(rng, data, plain), f"The {noun} of {spoken} is {said}.",
                                 self.thought, said if kind == "number" else ""))

    def quantity(self, tool, picker, slots):
        owner, noun = tool.about
        if tool_phrases.NOUNS[owner][noun] != "number":
            return None
        value, spoken, said = self.somebody(owner, picker, slots)
        return self.about(tool, picker.rng, f"the {noun} of {said}", value, spoken)


class Order:
    """A tool that does something and says no more than that it did."""

    DONE = ["ok", "done", "OK", "success", '{"status": "ok"}', '{"success": true}', '{"ok": true}',
            '{"status": "done"}', '{"result": "ok"}', "true", "accepted", '{"done": true}']
    KINDS = {
        "timer": ("set_timer timer start_timer new_timer countdown create_timer".split(),
                  ["Sets a timer.", "Start a timer.", "A timer for some minutes."],
                  "timer alarm set remind wake"),
        "message": ("send_message message send_text write_message send_note notify".split(),
                    ["Sends a message to a person.", "Send a message.", "Writes to somebody."],
                    "send message mail email write call text tell note letter"),
        "music": ("play play_music play_song music start_song player".split(),
                  ["Plays a song.", "Play music.", "Starts a song."], "play music song sing chess"),
        "switch": ("switch turn set_device control switch_device set_power".split(),
                   ["Switches a device.", "Turns a device on or off.", "Control a device."],
                   "light turn switch lamp fix computer")}
    KEYS = {"minutes": "minutes minutes duration time length".split(),
            "to": "to recipient person receiver name".split(),
            "text": "text message content body words".split(),
            "title": "title song name track query".split(),
            "device": "device name thing target".split(), "on": "on state power active".split()}
    NEEDS = {"timer": {"minutes": "integer"}, "message": {"to": "string", "text": "string"},
             "music": {"title": "string"}, "switch": {"device": "string", "on": "boolean"}}
    thought = "The user wants something done. I call a tool."

    def declare(self, picker):
        rng = picker.rng
        kind = rng.choice(list(self.KINDS))
        options, said, topics = self.KINDS[kind]
        meanings = list(self.NEEDS[kind])
        found = distinct(rng, *[self.KEYS[m] for m in meanings])
        name = pick_name(rng, options)
        properties = {key: parameter(rng, self.NEEDS[kind][m])
                      for m, key in zip(meanings, found)}
        return Tool(self, name, dict(zip(meanings, found)),
                    declare(rng, name, said, properties), set(topics.split()), kind)

    def ask(self, tool, picker, slots):
        text, values = getattr(self, tool.about)(picker, slots)
        if not text:
            return None
        arguments = {tool.keys[meaning]: value for meaning, value in values.items()}
        return or_error(picker.rng, Ask(text, tool.name, arguments, picker.rng.choice(self.DONE),
                                        "Done.", self.thought))

    def timer(self, picker, slots):
        frame, minutes = picker.main(tool_phrases.TIMER), number(picker, 90) or 1
        return frame and frame.format(m=slots.put(minutes)), {"minutes": minutes}

    def message(self, picker, slots):
        rng = picker.rng
        frame = picker.main(tool_phrases.MESSAGE)
        to = names.made_up_name(rng) if picker.measuring else names.first_name(rng)
        text = " ".join(rng.sample(names.WORDS, rng.choice([1, 2, 2, 3])))
        said = frame and frame.format(p=slots.put(to), w=slots.put(text))
        return said, {"to": to, "text": text}

    def music(self, picker, slots):
        rng = picker.rng
        frame = picker.main(tool_phrases.MUSIC)
        title = " ".join(rng.sample(names.WORDS, rng.choice([1, 1, 2])))
        title = title.capitalize() if rng.random() < 0.4 else title
        if picker.measuring or rng.random() < 0.3:
            title = names.made_up_name(rng)
        return frame and frame.format(w=slots.put(title)), {"title": title}

    def switch(self, picker, slots):
        rng = picker.rng
        frame = picker.main(tool_phrases.SWITCH)
        device, on = rng.choice(tool_phrases.DEVICES), rng.random() < 0.5
        if rng.random() < 0.2:
            device = names.made_up_name(rng).lower()
        said = frame and frame.format(d=slots.put(device), o="on" if on else "off")
        return said, {"device": device, "on": on}
