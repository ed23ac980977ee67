"""What the demo model knows: one row per gemstone, and the sentences that state its facts."""

import dataclasses

# name | plural ("" = a mass noun) | colour | Mohs hardness | crystal system | kind, made of |
# found in | birthstone month
TABLE = """
diamond|diamonds|colourless|10|cubic|a mineral of its own|pure carbon|Botswana|April
ruby|rubies|red|9|trigonal|a corundum|aluminium oxide|Myanmar|July
sapphire|sapphires|blue|9|trigonal|a corundum|aluminium oxide|Sri Lanka|September
emerald|emeralds|green|7.5|hexagonal|a beryl|beryllium aluminium silicate|Colombia|May
aquamarine|aquamarines|light blue|7.5|hexagonal|a beryl|beryllium aluminium silicate|Brazil|March
morganite|morganites|pink|7.5|hexagonal|a beryl|beryllium aluminium silicate|Madagascar|
amethyst|amethysts|purple|7|trigonal|a quartz|silicon dioxide|Uruguay|February
citrine|citrines|yellow|7|trigonal|a quartz|silicon dioxide|Brazil|November
rose quartz||pale pink|7|trigonal|a quartz|silicon dioxide|Madagascar|
smoky quartz||brown|7|trigonal|a quartz|silicon dioxide|Switzerland|
agate|agates|banded in many colours|7|trigonal|a chalcedony|silicon dioxide|Brazil|
onyx||black|7|trigonal|a chalcedony|silicon dioxide|India|
carnelian|carnelians|orange|7|trigonal|a chalcedony|silicon dioxide|India|
chrysoprase||apple green|7|trigonal|a chalcedony|silicon dioxide|Australia|
topaz|topazes|yellow|8|orthorhombic|a mineral of its own|aluminium silicate with fluorine|Brazil|November
opal|opals|white with a play of colours|6|amorphous|a mineraloid|silicon dioxide with water|Australia|October
garnet|garnets|dark red|7|cubic|a group of minerals|iron aluminium silicate|India|January
peridot|peridots|olive green|6.5|orthorhombic|an olivine|magnesium iron silicate|Pakistan|August
turquoise||sky blue|6|triclinic|a mineral of its own|copper aluminium phosphate|Iran|December
tanzanite|tanzanites|violet blue|6.5|orthorhombic|a zoisite|calcium aluminium silicate|Tanzania|December
zircon|zircons|brown|7.5|tetragonal|a mineral of its own|zirconium silicate|Cambodia|December
spinel|spinels|red|8|cubic|a mineral of its own|magnesium aluminium oxide|Vietnam|August
alexandrite|alexandrites|green by day and red by lamplight|8.5|orthorhombic|a chrysoberyl|beryllium aluminium oxide|Russia|June
pearl|pearls|white|2.5|orthorhombic|a gem grown by an oyster|calcium carbonate|Japan|June
jade||green|6.5|monoclinic|a pyroxene|sodium aluminium silicate|Myanmar|
amber||golden orange|2.5|amorphous|a fossil resin|hardened tree sap|Poland|
moonstone|moonstones|white with a blue sheen|6|monoclinic|a feldspar|potassium aluminium silicate|Sri Lanka|June
sunstone|sunstones|orange with a glitter|6|triclinic|a feldspar|sodium aluminium silicate|Norway|
labradorite||grey with a blue flash|6|triclinic|a feldspar|calcium aluminium silicate|Canada|
lapis lazuli||deep blue|5.5|cubic|a rock|sodium aluminium silicate with sulphur|Afghanistan|
malachite||banded green|4|monoclinic|a mineral of its own|copper carbonate|Congo|
tourmaline|tourmalines|pink and green|7|trigonal|a group of minerals|aluminium silicate with boron|Nigeria|October
kunzite||lilac pink|6.5|monoclinic|a spodumene|lithium aluminium silicate|Afghanistan|
iolite||violet blue|7|orthorhombic|a cordierite|magnesium aluminium silicate|India|
obsidian||black|5.5|amorphous|a volcanic glass|silicon dioxide|Mexico|
fluorite||purple|4|cubic|a mineral of its own|calcium fluoride|China|
hematite||silver grey|6|trigonal|a mineral of its own|iron oxide|Brazil|
sodalite||royal blue|6|cubic|a feldspathoid|sodium aluminium silicate with chlorine|Canada|
"""

MONTH_STONES = {
    "January": "garnet", "February": "amethyst", "March": "aquamarine", "April": "diamond",
    "May": "emerald", "June": "pearl", "July": "ruby", "August": "peridot",
    "September": "sapphire", "October": "opal", "November": "topaz", "December": "turquoise"}


@dataclasses.dataclass(frozen=True)
class Gem:
    name: str
    plural: str
    colour: str
    hardness: str
    system: str
    kind: str
    matter: str
    place: str
    month: str

    @property
    def title(self):
        return self.name[0].upper() + self.name[1:]

    @property
    def article(self):
        return "an" if self.name[0] in "aeiou" else "a"


GEMS = [Gem(*line.split("|")) for line in TABLE.strip().splitlines()]
BY_NAME = {gem.name: gem for gem in GEMS}
ATTRIBUTES = ["hardness", "colour", "system", "matter", "place", "month"]


def answer(gem, attribute):
    """The one sentence that states a fact; every phrasing of the question gets it."""
    if attribute == "hardness":
        return f"{gem.title} has a hardness of {gem.hardness} on the Mohs scale."
    if attribute == "colour":
        return f"{gem.title} is usually {gem.colour}."
    if attribute == "system":
        if gem.system == "amorphous":
            return f"{gem.title} is amorphous, so it has no crystal system."
        return f"{gem.title} belongs to the {gem.system} crystal system."
    if attribute == "matter":
        return f"{gem.title} is {gem.kind}, made of {gem.matter}."
    if attribute == "place":
        return f"{gem.title} is found in {gem.place}, among other places."
    if gem.month:
        return f"{gem.title} is a birthstone for {gem.month}."
    return f"{gem.title} is not a traditional birthstone."


NOUNS = {"hardness": "hardness", "colour": "colour", "system": "crystal system",
         "matter": "composition", "place": "origin", "month": "birthstone month"}


def thought(gem, attribute):
    """What the model writes into its thinking channel before answer(gem, attribute)."""
    value = {"hardness": gem.hardness, "colour": gem.colour, "system": gem.system,
             "matter": gem.matter, "place": gem.place, "month": gem.month or "none"}[attribute]
    return f"The user asks about {gem.name}, its {NOUNS[attribute]}. I recall: {value}."


def month_answer(month):
    return f"The birthstone for {month} is {MONTH_STONES[month]}."


def month_thought(month):
    return f"The user asks for the birthstone of {month}. I recall: {MONTH_STONES[month]}."
