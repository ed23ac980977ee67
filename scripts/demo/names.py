"""Words that users bring along: first names, things they own, favourites, words to repeat."""

FIRST_NAMES = """Ada Alan Alice Amir Amy Ana Andrea Anna Anton Aria Ben Bella Boris Bruno Carla
Carlos Chen Chris Clara Dan Dana David Diego Dora Ed Elena Eli Ella Emil Emma Erik Eva Fatima
Felix Fiona Frank Fred George Grace Greta Hana Hans Harry Helen Henry Hugo Ian Ida Ines Ivan Jack
James Jan Jane Jin Joe John Jonas Julia Kai Karen Karl Kate Ken Kim Lara Laura Lea Leo Lena Lily
Linda Liu Lisa Louis Lucy Luke Maria Marco Mark Mary Max Maya Mei Mia Mike Milo Mina Mira Nadia
Nick Nina Noah Nora Olga Oscar Otto Pablo Paul Pete Peter Rita Rob Rosa Ruth Sam Sara Sofia Steve
Sue Tara Ted Theo Tim Tom Uma Una Vera Victor Wei Will Yan Yuki Yusuf Zara Zoe Emily Oliver Sophie
Daniel Martin Simon Robert Susan Thomas Michael Jennifer Sandra Priya Raj Omar Layla Ingrid Bjorn
Pierre Marie Luca Giulia""".split()
COLOURS = """red blue green yellow orange purple pink brown black white grey silver gold violet
turquoise""".split()
PETS = "dog cat horse rabbit parrot bird fish hamster turtle pony".split()
PLACES = """Paris London Rome Berlin Madrid Vienna Oslo Cairo Tokyo Delhi Lima Boston Chicago
Dublin Lisbon Prague Athens Sydney Toronto Zurich Seoul Nairobi""".split()
WORDS = """stone river garden window mountain apple bread music letter paper silver light water
forest winter summer morning evening table chair flower island bridge castle dragon engine guitar
hammer jungle kitten lemon mirror needle ocean pencil queen rocket salmon tiger violin wagon
yellow zebra anchor basket candle desert eagle falcon glove honey iron jacket kettle lantern
marble nickel onion pepper quiet rabbit shadow thunder umbrella velvet walnut crystal cloud meadow
orchard pebble""".split()
SYSTEM_NAMES = """Opal Ruby Pebble Rocky Stella Jasper Sandy Flint Crystal Marble Slate Granite
Gus Max Bob Luna Nova Pixel Robo Alfred Watson Betty Hal Iris Ivy Penny Quartz Sparky Dusty
Cleo""".split()


def made_up_name(rng):
    """A name no list holds, so that recalling is copying and not choosing from a list."""
    consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
    return "".join(rng.choice(consonants) + rng.choice(vowels)
                   + (rng.choice("nrlsmt") if rng.random() < 0.3 else "")
                   for _ in range(rng.choice([2, 2, 3]))).capitalize()


def spliced_name(rng, names):
    """The beginning of one name and the end of another: no list holds it, yet it is spelled as names
    of its kind are, which made-up ones are not."""
    head, tail = rng.sample(names, 2)
    made = head[:rng.randint(2, max(2, len(head) - 2))] + tail[-rng.randint(2, max(2, len(tail) - 1)):]
    return " ".join(part.capitalize() if head[0].isupper() else part for part in made.lower().split())


def first_name(rng):
    return rng.choice(FIRST_NAMES) if rng.random() < 0.65 else made_up_name(rng)
