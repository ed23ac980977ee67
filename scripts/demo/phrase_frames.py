"""Parts of questions about one attribute of a stone: noun phrases, clauses, keywords, and questions
about "it". Placeholders as in question_frames.py."""

from .held_out import lines

# Noun phrases, for the ways of asking in ASK_NOUN.
NOUN_PHRASES = {
    "hardness": lines("""
        the hardness of {g}
        {gs} hardness
        the mohs hardness of {g}
        the hardness value of {g}
        the mohs number of {g}
        the mohs rating of {g}
        {gs} mohs hardness
        {gs} rating on the mohs scale
        the hardness that {g} {have}
        the scratch hardness of {g}
        the mohs value for {g}
        """),
    "colour": lines("""
        the colour of {g}
        {gs} colour
        the usual colour of {g}
        the typical colour of {g}
        the colour that {g} {have}
        the normal colour of {g}
        {gs} usual colour
        the hue of {g}
        the shade of {g}
        the common colour for {g}
        """),
    "system": lines("""
        the crystal system of {g}
        {gs} crystal system
        the crystal structure of {g}
        the crystal system that {g} {have}
        the crystal symmetry of {g}
        {gs} crystal structure
        the crystal class of {g}
        {gs} type of crystal
        the crystal system for {g}
        the kind of crystal that {g} {do} form
        """),
    "matter": lines("""
        the composition of {g}
        {gs} composition
        the chemical composition of {g}
        the chemistry of {g}
        the chemical formula of {g}
        {gs} chemistry
        {gs} formula
        the chemical make-up of {g}
        the material of {g}
        the mineral of {g}
        the stuff that {g} {is} made of
        """),
    "place": lines("""
        the origin of {g}
        {gs} origin
        the country where {g} {is} found
        the country of origin of {g}
        the place where {g} {is} mined
        the place where {g} {is} found
        the source of {g}
        a country that has {g}
        a country with {g}
        a place where i can find {g}
        the home of {g}
        """),
    "month": lines("""
        the birthstone month of {g}
        the month of {g}
        {gs} birthstone month
        {gs} month
        the birth month of {g}
        the month for {g}
        the month that goes with {g}
        the birthday month of {g}
        the month that has {g} as birthstone
        the month whose birthstone {is} {g}
        """),
}

# Indirect clauses, for the ways of asking in ASK_CLAUSE.
CLAUSES = {
    "hardness": lines("""
        how hard {g} {is}
        what hardness {g} {have}
        what the hardness of {g} is
        where {g} {is} on the mohs scale
        how high {g} {is} on the mohs scale
        whether {g} {is} hard
        if {g} {is} hard
        how scratch resistant {g} {is}
        what {gs} hardness is
        """),
    "colour": lines("""
        what colour {g} {is}
        what colour {g} {have}
        which colour {g} {have}
        what the colour of {g} is
        what {g} {do} look like
        which colour {g} {is}
        what {gs} colour is
        how {g} {do} look
        """),
    "system": lines("""
        what crystal system {g} {have}
        which crystal system {g} {do} belong to
        what the crystal system of {g} is
        how {g} {do} crystallise
        what kind of crystals {g} {do} form
        what crystal structure {g} {have}
        in which crystal system {g} {do} crystallise
        what {gs} crystal system is
        """),
    "matter": lines("""
        what {g} {is} made of
        what {g} {do} consist of
        what the composition of {g} is
        what {g} {is} composed of
        what kind of mineral {g} {is}
        what {g} {do} contain
        which mineral {g} {is}
        what {g} {is} chemically
        what {gs} formula is
        """),
    "place": lines("""
        where {g} {is} found
        where {g} {do} come from
        where i can find {g}
        where {g} {is} mined
        which country {g} {do} come from
        in which country {g} {is} found
        where to find {g}
        where {g} can be found
        where people find {g}
        where to look for {g}
        """),
    "month": lines("""
        which month {g} {is} the birthstone for
        for which month {g} {is} a birthstone
        what month {g} {do} stand for
        which month goes with {g}
        what month {g} {do} belong to
        whether {g} {is} a birthstone
        if {g} {is} a birthstone
        which month has {g} as birthstone
        """),
}

# Only keywords, as people type into a search box.
SHORT = {
    "hardness": lines("""
        {G} hardness
        hardness {G}
        hardness of {G}
        {G} mohs
        mohs {G}
        {G} mohs hardness
        mohs scale {G}
        {G} on the mohs scale
        {G}, how hard
        """),
    "colour": lines("""
        {G} colour
        colour {G}
        colour of {G}
        {G} colours
        {G}, what colour
        usual colour {G}
        {G} hue
        """),
    "system": lines("""
        {G} crystal system
        crystal system {G}
        crystal system of {G}
        {G} crystals
        {G} crystal structure
        {G}, which crystal system
        {G} symmetry
        """),
    "matter": lines("""
        {G} composition
        composition of {G}
        {G} formula
        {G} chemistry
        {G} chemical composition
        {G} made of
        {G}, made of what
        {G} mineral
        """),
    "place": lines("""
        {G} origin
        origin of {G}
        {G} country
        {G} found where
        {G} location
        {G}, found where
        {G} mines
        {G} source
        """),
    "month": lines("""
        {G} birthstone
        {G} birthstone month
        {G} month
        birthstone month {G}
        {G}, which month
        month of {G}
        """),
}

# Questions about a stone that was named before; also the follow-up questions.
ITS_QUESTIONS = {
    "hardness": lines("""
        how hard is it
        what is its hardness
        what hardness does it have
        what is its mohs hardness
        where is it on the mohs scale
        is it hard
        how hard is that stone
        how does it rank on the mohs scale
        does it scratch easily
        what is the hardness
        """),
    "colour": lines("""
        what colour is it
        what is its colour
        what colour does it have
        which colour is it usually
        what does it look like
        what colour is that stone
        in what colour does it come
        what is the colour
        which colour does it have
        """),
    "system": lines("""
        what is its crystal system
        what crystal system does it have
        which crystal system does it belong to
        how does it crystallise
        what kind of crystals does it form
        what crystal structure does it have
        what is the crystal system
        in which system does it crystallise
        """),
    "matter": lines("""
        what is it made of
        what does it consist of
        what is its composition
        what is its chemical formula
        what is it composed of
        what mineral is it
        what kind of mineral is it
        what does it contain
        """),
    "place": lines("""
        where is it found
        where does it come from
        where can i find it
        where is it mined
        which country does it come from
        what is its origin
        where can it be found
        in which country is it found
        where is it from
        """),
    "month": lines("""
        which month is it the birthstone for
        is it a birthstone
        what month does it stand for
        which month goes with it
        what is its birthstone month
        for which month is it a birthstone
        what is its month
        """),
}
