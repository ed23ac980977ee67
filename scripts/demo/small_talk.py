"""Greetings, who-are-you, thanks, farewells: a kind of remark, its phrasings, its one answer."""

from . import held_out
from .phrasing import spell

ANSWERS = {
    "hello": "Hello! Ask me something about gemstones.",
    "mood": "I am fine, thank you. Ask me something about gemstones.",
    "identity": "I am Lapidary's demo model, a very small Gemma 4 that knows gemstones.",
    "ability": "I can answer questions about gemstones, for example how hard a ruby is.",
    "maker": "I was trained by the Lapidary project on a small computer.",
    "human": "No, I am a small language model.",
    "size": "I am small: about eleven million parameters.",
    "thanks": "You are welcome!",
    "bye": "Goodbye!",
    "praise": "Thank you, that is kind.",
    "gemstone": "A gemstone is a mineral that is cut and polished for its beauty.",
    "mohs": "The Mohs scale ranks minerals from 1 to 10 by which scratches which.",
    "hardest": "Diamond is the hardest gemstone, with a hardness of 10.",
    "birthstone": "A birthstone is a gemstone that stands for the month of a birth.",
    "lapidary": "A lapidary is a person who cuts and polishes gemstones.",
    "list": "I know diamond, ruby, sapphire, emerald, opal and many more.",
}

THOUGHTS = {
    "hello": "The user greets me. I greet back.",
    "mood": "The user asks how I am.",
    "identity": "The user asks who I am.",
    "ability": "The user asks what I can do.",
    "maker": "The user asks who made me.",
    "human": "The user asks if I am a person.",
    "size": "The user asks how big I am.",
    "thanks": "The user thanks me.",
    "bye": "The user says goodbye.",
    "praise": "The user praises me.",
    "gemstone": "The user asks what a gemstone is.",
    "mohs": "The user asks about the Mohs scale.",
    "hardest": "The user asks for the hardest gemstone.",
    "birthstone": "The user asks what a birthstone is.",
    "lapidary": "The user asks what a lapidary is.",
    "list": "The user asks which stones I know.",
}

GREETING_KINDS = ["hello", "mood", "identity", "ability", "maker", "human", "size", "thanks",
                  "bye", "praise"]
GENERAL_KINDS = ["gemstone", "mohs", "hardest", "birthstone", "lapidary", "list"]

REMARKS = {
    "hello": """
        hello|hi|hey|hi there|hello there|hey there|good morning|good afternoon|good evening
        good day|greetings|hello lapidary|hi lapidary|hey lapidary|hello again|hi again
        hello friend|hello my friend|hi friend|hello model|hello computer|howdy|hiya|hello you
        welcome|hello everyone|hi everyone|hello world|hey you|morning|evening
        hello, nice to meet you|nice to meet you|pleased to meet you|hello to you
        a good day to you|a good morning to you|hello from me|is anyone there|anybody there
        are you there|can you hear me|let's talk|i want to talk to you|i want to say hello
        can we talk|hello, can we talk|hi, are you there|hello, are you there|hi, good morning
        hello, good evening|hey, good afternoon|hallo|yo""",
    "mood": """
        how are you|how are you doing|how are you today|how do you do|how is it going
        how's it going|how do you feel|how are things|how are you doing today|are you well
        are you ok|are you fine|are you all right|how have you been|how is your day
        how was your day|how do you feel today|hi, how are you|hello, how are you
        hello, how are you today|hey, how are you doing|good morning, how are you
        hello there, how are you|hi there, how do you do|what's up|and how are you
        tell me how you are|how goes it|are you feeling well|hey, how is it going
        is everything fine with you|is everything ok|i hope you are well|everything all right""",
    "identity": """
        who are you|what are you|who is this|what is your name|what's your name
        tell me your name|do you have a name|who am i talking to|whom am i talking to
        what am i talking to|what model are you|which model are you|what kind of model are you
        tell me who you are|please tell me who you are|can you tell me who you are
        could you tell me your name|introduce yourself|please introduce yourself
        can you introduce yourself|who is there|say who you are|say your name
        tell me about yourself|describe yourself|what should i call you|how should i call you
        how do i call you|may i know your name|may i ask your name|what are you called
        who do i speak with|with whom do i speak|what kind of program are you
        what sort of thing are you|are you a model|are you gemma|are you lapidary|your name
        i would like to know who you are|i want to know your name|do you know who you are
        hello, who are you|hi, who are you|hi, what is your name|hello! what are you
        who might you be|explain who you are|what is this model|which language model is this""",
    "ability": """
        what can you do|what do you know|what can you do for me|what can i ask you
        what can i ask|what should i ask you|how can you help me|how can you help
        can you help me|help|what are you good at|what are you able to do
        tell me what you can do|what do you do|what is your purpose|what are you for
        what are you made for|what topics do you know|which topics do you know
        what questions can you answer|which questions can you answer|what can we talk about
        what shall we talk about|show me what you can do|what are your skills|how do i use you
        how can i use you|can you do something|what is your job|what do you offer
        what can you answer|what can you tell me|i need help|help me|help me please
        please help me|what else can you do|give me an example of a question
        what is there to ask|what's your purpose|tell me what i can ask
        what subjects do you know|what do you know about""",
    "maker": """
        who made you|who built you|who created you|who trained you|who is your maker
        who is your creator|where do you come from|where are you from|who wrote you
        who developed you|how were you made|how were you trained|tell me who made you
        by whom were you made|by whom were you trained|who has made you|who has trained you
        which company made you|what company made you|who is behind you|where were you made
        where were you trained|can you tell me who made you|do you know who made you
        who is responsible for you|who are your makers|who programmed you""",
    "human": """
        are you human|are you a human|are you a person|are you a robot|are you real
        are you alive|are you a real person|are you a man or a machine|are you a machine
        am i talking to a human|am i talking to a person|am i speaking to a human
        is this a human|is this a real person|are you a human being|do you live
        are you a computer|are you a woman or a man|are you a living being
        are you really a human|do i talk to a person|do you have a body
        is there a person behind you|are you an animal|is a human answering""",
    "size": """
        how big are you|how large are you|how small are you|what size are you|what is your size
        how many parameters do you have|how many parameters have you got|what's your size
        what is your parameter count|are you big|are you small|are you a big model
        are you a small model|are you a large model|how many weights do you have
        tell me your size|how big is this model|how large is this model
        how many parameters does this model have|do you have many parameters
        how big is your network|are you large""",
    "thanks": """
        thanks|thank you|thank you very much|thanks a lot|many thanks|thank you so much
        thanks so much|thanks for your help|thank you for your help|thank you for the answer
        thanks for the answer|ok thanks|ok, thank you|great, thanks|great, thank you
        good, thank you|that helps, thanks|that helped, thank you|perfect, thanks
        thank you lapidary|thanks lapidary|cheers|much appreciated|i thank you|thanks again
        thank you again|thanks, that was helpful|thank you, that was useful|thank you kindly
        nice, thanks|wonderful, thank you|thanks, my friend|thx|i am grateful
        very helpful, thank you|thank you for that|thanks for that|thanks for everything
        all right, thanks""",
    "bye": """
        bye|goodbye|bye bye|good bye|see you|see you later|see you soon|see you tomorrow
        good night|farewell|until next time|until tomorrow|bye for now|bye, lapidary
        goodbye, lapidary|i have to go|i have to go now|i must go|i am leaving|i am leaving now
        that is all|that's all|that was all|that was all, bye|thanks, bye|thank you, goodbye
        ok, bye|i am going now|take care|have a nice day|have a good day|good night, lapidary
        so long|talk to you later|catch you later|i need to leave|time to go
        i have no more questions|no more questions|that would be all, goodbye|see you next time
        bye then""",
    "praise": """
        well done|good job|good answer|great answer|very good|you are good|you are great
        you are clever|you are smart|you are nice|you are funny|nice answer|good work|great work
        great|nice|excellent|wonderful|i like you|i like your answer|i like your answers
        that is right|that is correct|that's right|you are right|that was good
        that was a good answer|bravo|you know a lot|impressive|that is impressive
        you are very helpful|perfect|fantastic|what a good answer|you did well
        you are a good model|awesome""",
    "gemstone": """
        what is a gemstone|what is a gem|what are gemstones|what are gems|what's a gemstone
        define gemstone|explain what a gemstone is|tell me what a gemstone is
        what makes a gemstone|what does gemstone mean|what does the word gemstone mean
        what is meant by a gemstone|can you explain what a gem is|do you know what a gemstone is
        what are precious stones|what is a precious stone|what is the meaning of gemstone
        tell me what gems are|explain gemstones|what do you call a gemstone
        how do you define a gem|what is a jewel""",
    "mohs": """
        what is the mohs scale|what's the mohs scale|explain the mohs scale
        what does the mohs scale mean|how does the mohs scale work|tell me about the mohs scale
        what is the scale of mohs|what does mohs mean|what does the mohs scale measure
        what is mohs hardness|describe the mohs scale|can you explain the mohs scale
        do you know the mohs scale|what is meant by the mohs scale|please explain the mohs scale
        what is the hardness scale|how is hardness measured|how do you measure hardness
        how is the hardness of stones measured|what is mohs
        could you explain how the mohs scale works|i want to know what the mohs scale is""",
    "hardest": """
        what is the hardest gemstone|what is the hardest gem|which gem is the hardest
        which gemstone is the hardest|what is the hardest stone|which stone is the hardest
        what is the hardest mineral|which mineral is hardest|name the hardest gemstone
        tell me the hardest gem|what gem has the highest hardness|which gem has a hardness of 10
        which stone is harder than all others|do you know the hardest gemstone
        what's the hardest gem|what stone cannot be scratched|what is hardest|hardest gemstone
        hardest gem|hardest stone|can you name the hardest stone
        which of the gems is the hardest|what is the hardest of all stones""",
    "birthstone": """
        what is a birthstone|what are birthstones|what's a birthstone|what does birthstone mean
        explain what a birthstone is|tell me what a birthstone is|define birthstone
        what is meant by a birthstone|can you explain birthstones
        do you know what a birthstone is|what is the meaning of birthstone
        why is it called a birthstone|explain birthstones|what does the word birthstone mean
        please explain what a birthstone is|what are birthstones for
        tell me what birthstones are|i don't know what a birthstone is""",
    "lapidary": """
        what is a lapidary|what does lapidary mean|what does the word lapidary mean
        define lapidary|what does a lapidary do|explain what a lapidary is|what's a lapidary
        who is a lapidary|tell me what a lapidary is|what is the meaning of lapidary
        who cuts gemstones|who cuts and polishes gems|what do you call someone who cuts gems
        why are you called lapidary|what does your name mean|do you know what a lapidary is
        what is a gem cutter called|where does the name lapidary come from|what is a gem cutter""",
    "list": """
        which gemstones do you know|which gems do you know|what gemstones do you know
        what stones do you know|which stones do you know|name some gemstones|name some gems
        name a few gemstones|list some gemstones|list some gems|list the gemstones you know
        tell me some gemstones|give me a list of gemstones|give me some gems
        tell me which gems you know|can you name some gemstones|what gems are there
        which gemstones are there|name gemstones|give me some examples of gemstones
        what are some gemstones|list gems you know|what are the names of some gems
        show me a list of gems""",
}

REMARKS = {kind: [r.strip() for line in block.strip().splitlines() for r in line.split("|")]
           for kind, block in REMARKS.items()}
QUESTION_KINDS = {"mood", "identity", "ability", "maker", "human", "size", *GENERAL_KINDS}
SOFT_ENDINGS = ["", "", "", "", "", "", "", "", " please", ", please", ", my friend", ", lapidary",
                " now", " then", " today", " again"]
SOFT_OPENINGS = ["", "", "", "", "", "", "", "", "ok, ", "so ", "well, ", "and ", "oh, ", "now, ",
                 "hello, ", "hi, ", "hello! ", "hey, ", "great. ", "excuse me, ", "sorry, ",
                 "by the way, ", "one question: ", "lapidary, ", "thanks. ", "but "]


def remark(kind, picker):
    """One phrasing of a kind, or None (measuring, none held out)."""
    text = picker.main(REMARKS[kind])
    if not text:
        return None
    rng = picker.rng
    if kind in QUESTION_KINDS:
        text = rng.choice(SOFT_OPENINGS) + text + rng.choice(SOFT_ENDINGS)
        marks, weights = ["?", "", ".", "!"], [70, 22, 5, 3]
    else:
        text += rng.choice(["", "", "", "", "", "", ", lapidary", " then", ", friend"])
        marks, weights = ["", "!", ".", "!!"], [40, 30, 28, 2]
    return spell(text, rng) + rng.choices(marks, weights)[0]

for block in REMARKS.values():
    held_out.reserve(block)


def composed(*parts):
    """Every combination of one choice per part."""
    result = [""]
    for part in parts:
        result = [" ".join(f"{head} {choice}".split()) for head in result
                  for choice in part.split("|")]
    return [text.replace(" ,", ",") for text in result]


# More phrasings, never held out.
MORE = {
    "hello": composed("hello|hi|hey|good morning|good evening|good day|a good morning|"
                      "morning to you,|"
                      "good afternoon,|evening,|greetings,|hello hello|hi hi",
                      "|there|you|my friend|friend|model|dear model|dear lapidary|again|to you|"
                      "everybody|you there")
    + composed("|hello,|hi,", "i am new here|i have some questions|i want to ask something|"
               "can i ask you something|may i ask you a question|i have a question|i am back|"
               "let us talk|i would like to chat|nice to see you|good to see you|"
               "it is a nice morning|"
               "i am here|what a nice day|test|testing|this is a test|let us start|start|"
               "say hello|say hi|say something|hello hello"),
    "mood": composed("|hello,|hi,|hey,|hi there,|good morning,", "how are you|how do you feel|"
                     "how are you doing|how is life|how is your day going|are you happy|"
                     "are you good|"
                     "how are things going|how have things been",
                     "|now|this morning|this evening|my friend"),
    "identity": composed("tell me|say|please say|can you say|i'd like to know|explain|"
                         "do you remember|"
                         "i wonder|please explain", "who you are|what you are|your name|"
                         "what your name is|what you are called|what model you are|"
                         "which model you are|who is speaking")
    + composed("who|what", "am i speaking with|am i chatting with|do i talk to|am i writing to|"
               "is speaking|is answering me|is talking to me|do i chat with|are you exactly|"
               "are you then|is your name"),
    "ability": composed("what|which things|what things|what else", "can you answer|can you explain|"
                        "can you tell me|do you understand|do you know|may i ask you|could i ask|"
                        "should i ask|are you able to answer|do you talk about|are you made to do")
    + composed("tell me|show me|explain|say", "what you know|what you can answer|what you are for|"
               "how you can help me|what to ask you|what i could ask|your purpose|your skills"),
    "maker": composed("by whom were you|who has|who|which people|what team|which person",
                      "made you|created you|built you|trained you|developed you|programmed you")
    + composed("where|when|how", "were you built|were you created|were you developed")
    + ["your maker", "tell me who trained you", "tell me who created you", "who owns you"],
    "human": composed("are you|is this|am i talking to|am i chatting with|do i speak to|"
                      "are you really",
                      "a human being|a person|a real human|a robot|a machine|a bot|a man|a woman|"
                      "a program|somebody real|an ai|artificial"),
    "size": composed("how|and how", "big|large|small|heavy|tiny", "is your model|is your network|"
                     "are you really|is your brain")
    + composed("what is|tell me|how much is", "the size of the model|your number of parameters|"
               "your model size|the number of your parameters"),
    "thanks": composed("thanks|thank you|many thanks|ok thank you|thanks a lot|great, thank you",
                       "for the information|for telling me|for explaining|for your time|"
                       "for your answer|for answering|for helping me|for all|, that was good|"
                       ", that was nice|, that is good to know|, that helps|, i understand|"
                       ", good to know|, very helpful|, you helped me a lot"),
    "bye": composed("|ok,|thanks,|well,|thank you,", "see you|goodbye|bye bye|good night|so long|"
                    "farewell|until later|until then|i am going|i am done|i am finished|"
                    "that will be all|no questions any more|i have no other questions|"
                    "no more questions for today|i am out of questions|i will go now|"
                    "i am leaving you|i leave now|see you on monday|see you another day"),
    "praise": composed("|that is|that was|you are|this is|how", "very nice|very clever|really good|"
                       "really great|so good|very well done|very smart|good|brilliant|super|"
                       "really nice|cool|amazing|great stuff")
    + composed("|what a|that was a|that is a", "good answer|great answer|nice answer|clever answer|"
               "very good answer|good reply|great job|very good job|very nice answer"),
    "gemstone": composed("explain|tell me|do you know|i want to know|can you tell me|say",
                         "what a gem is|what gems are|what gemstones are|what a precious stone is|"
                         "what makes a stone a gem")
    + ["what is a gem stone", "what is a gem, exactly", "what exactly is a gem",
       "what exactly is a gemstone", "what are gem stones", "what does gem mean",
       "when is a stone a gem", "the meaning of gemstone", "what is the meaning of gem"],
    "mohs": composed("explain|tell me about|what is|define|describe|what's", "the scale of mohs|"
                     "mohs' scale|the mohs hardness scale|the mohs numbers|"
                     "the mohs scale of hardness|"
                     "the scale of hardness|hardness")
    + ["how do people measure hardness", "how can hardness be measured", "what does hardness mean",
       "what does a mohs hardness mean", "what is meant by mohs hardness",
       "who needs the mohs scale",
       "what is a mohs scale", "how does one measure hardness"],
    "hardest": composed("what is|which is|name|tell me|do you know|say|what's",
                        "the hardest of the gems|the hardest stone of all|"
                        "the hardest known gemstone|"
                        "the hardest precious stone|the hardest mineral of all|"
                        "the hardest gem there is|"
                        "the hardest stone you know|the stone with the highest hardness"),
    "birthstone": composed("explain|tell me|do you know|i want to know|can you tell me|"
                           "can you explain",
                           "what birthstones are for|what a birthstone means|what birthstones mean|"
                           "the meaning of birthstones|the idea of birthstones"),
    "lapidary": composed("explain|tell me|do you know|i want to know|can you tell me|say",
                         "what lapidary means|what a lapidary does|who cuts gems|"
                         "what your name means|"
                         "what a gem cutter does")
    + ["what does a gem cutter do", "what exactly is a lapidary", "what is the job of a lapidary",
       "who polishes gems", "what is lapidary", "what are lapidaries", "a lapidary, what is that",
       "who is a gem cutter", "who works with gems"],
    "list": composed("list|name|tell me|give me|show me|say", "a few gems|a few stones|some stones|"
                     "all gems|all gemstones|all the stones you know|the gems you know|"
                     "the names of gems|some gems you know|gemstones you know")
    + composed("list|name|tell me|give me|can you name|say", "two|three|four|five|ten|a few|"
                                                             "several",
               "gems|gemstones|stones|precious stones"),
}
for more_kind, more in MORE.items():
    REMARKS[more_kind] += [text for text in more if text not in held_out.HELD_OUT]
