"""Words and phrasings of the requests that need a tool, and the words that tools are named with.

Placeholders: {x} a city, a person or a thing, {n} a noun, {e} a calculation, {a} {b} or {x} {y}
numbers, {q} a quantity that a tool knows, {m} minutes, {p} a person, {w} words.
"""

from .held_out import lines, reserve


def words(block):
    return [word.strip() for word in block.replace("\n", ",").split(",") if word.strip()]


CITIES = words("""
    Paris, London, Rome, Berlin, Madrid, Vienna, Oslo, Cairo, Tokyo, Delhi, Lima, Boston, Chicago
    Dublin, Lisbon, Prague, Athens, Sydney, Toronto, Zurich, Seoul, Nairobi, Amsterdam, Brussels
    Stockholm, Helsinki, Copenhagen, Warsaw, Budapest, Istanbul, Moscow, Beijing, Shanghai, Bangkok
    Singapore, Mumbai, Manila, Hanoi, Kabul, Tehran, Baghdad, Dubai, Lagos, Accra, Tunis, Algiers
    Johannesburg, Santiago, Quito, Caracas, Brasilia, Montevideo, Mexico City, New York, Los Angeles
    San Francisco, Seattle, Miami, Dallas, Houston, Atlanta, Phoenix, Vancouver, Ottawa, Auckland
    Perth, Brisbane, Munich, Cologne, Frankfurt, Milan, Venice, Florence, Turin, Lyon, Nice, Bilbao
    Seville, Barcelona, Edinburgh, Manchester, Liverpool, Bristol, Oxford, Cambridge, Leeds, Cork
    Basel, Salzburg, Graz, Gdansk, Riga, Vilnius, Sofia, Bucharest, Belgrade, Zagreb, Kiev, Odessa
    Buenos Aires, Rio de Janeiro, Sao Paulo, Hong Kong, Kuala Lumpur, Las Vegas, San Diego, Tel Aviv
    """)
NEW_CITIES = words("""
    Reykjavik, Casablanca, Valencia, Osaka, Tallinn, Hamburg, Marseille, Melbourne, Bogota, Denver
    Havana, Kyoto, Glasgow, Porto, Krakow, Naples, Geneva, Jakarta, Montreal, Dakar, New Orleans
    Cape Town, Leipzig, Nantes, Sapporo, Portland""")
STONES = words("""
    apatite, azurite, larimar, charoite, sugilite, howlite, kyanite, andalusite, scapolite, sphene
    sphalerite, diopside, enstatite, danburite, hiddenite, heliodor, bloodstone, jasper, aventurine
    rhodonite, unakite, pyrite, selenite, celestite, barite, calcite, aragonite, cuprite, cerussite
    phenakite, taaffeite, musgravite, painite, grandidierite, jeremejevite, poudretteite, red beryl
    ametrine, coral, ivory, jet, goshenite, spessartine, almandine, pyrope, tsavorite, demantoid
    sardonyx, tiger eye, hawk eye, blue lace agate, moss agate, angelite, seraphinite, lepidolite
    """)
NEW_STONES = words("""
    benitoite, rhodochrosite, prehnite, vesuvianite, amazonite, chalcedony, dumortierite, bixbite
    uvarovite, thulite, variscite, petalite, snow quartz, fire agate""")

WEATHER = lines("""
    what is the weather in {x}
    what's the weather in {x}
    what is the weather like in {x}
    what's the weather like in {x}
    what is the weather in {x} now
    how is the weather in {x}
    how's the weather in {x}
    how is the weather in {x} right now
    what weather is it in {x}
    what weather do they have in {x}
    what sort of weather is there in {x}
    what does the weather look like in {x}
    what is the current weather in {x}
    what is the temperature in {x}
    what temperature is it in {x}
    what is the temperature in {x} right now
    what's the forecast for {x}
    what is the forecast for {x}
    what are the conditions in {x}
    how warm is it in {x}
    how cold is it in {x}
    how hot is it in {x}
    how warm will it be in {x}
    is it raining in {x}
    is it sunny in {x}
    is it cold in {x}
    is it warm in {x}
    is it hot in {x}
    is it snowing in {x}
    is it windy in {x} right now
    is it cloudy in {x}
    will it rain in {x}
    will it snow in {x}
    will it be sunny in {x}
    does it rain in {x}
    does it snow in {x}
    do i need an umbrella in {x}
    do i need a warm jacket in {x}
    do you know the weather in {x}
    do you know how the weather is in {x}
    can you tell me the weather in {x}
    can you check the weather in {x}
    can you get the weather for {x}
    can you look up the weather in {x}
    could you check how warm it is in {x}
    could you tell me the temperature in {x}
    tell me the weather in {x}
    tell me the temperature in {x}
    tell me how the weather is in {x}
    tell me if it is raining in {x}
    tell me whether it is cold in {x}
    give me the weather for {x}
    give me the weather in {x}
    give me the forecast for {x}
    give me the temperature of {x}
    get me the weather in {x}
    show me the weather in {x}
    check the weather in {x}
    check if it is raining in {x}
    look up the weather in {x}
    find the weather for {x}
    find out how warm it is in {x}
    please check the weather in {x}
    please tell me the weather in {x}
    i want to know the weather in {x}
    i want to know how cold it is in {x}
    i need the weather for {x}
    i need the forecast for {x}
    i would like to know the weather in {x}
    i'd like the weather for {x}
    i am going to {x}, what is the weather there
    i am in {x}, how is the weather
    i am in {x}, do i need an umbrella
    i live in {x}, what is the weather like
    i fly to {x}, is it cold there
    we are going to {x}, will it rain there
    for {x}, what is the weather
    in {x}, how is the weather
    in {x}, is it raining
    weather in {x}
    weather for {x}
    the weather in {x}
    weather {x}
    {x} weather
    temperature in {x}
    temperature {x}
    forecast for {x}
    forecast {x}
    current weather in {x}
    current temperature in {x}
    """)
CALCULATE = lines("""
    what is {e}
    what's {e}
    how much is {e}
    what does {e} give
    what does {e} make
    what do you get for {e}
    what is the result of {e}
    what is the value of {e}
    {e}
    {e} is what
    {e} makes what
    calculate {e}
    compute {e}
    evaluate {e}
    solve {e}
    work out {e}
    please calculate {e}
    please compute {e}
    please work out {e}
    calculate {e} for me
    work out {e} for me
    can you calculate {e}
    can you compute {e}
    can you work out {e}
    can you tell me what {e} is
    could you calculate {e}
    could you work out {e} for me
    could you tell me how much {e} is
    do you know what {e} is
    do you know how much {e} is
    tell me {e}
    tell me what {e} is
    tell me the result of {e}
    tell me how much {e} is
    give me {e}
    give me the result of {e}
    give me the value of {e}
    i need {e}
    i need the result of {e}
    i need to know what {e} is
    i want to know {e}
    i want to know how much {e} is
    i would like to know what {e} gives
    i have to calculate {e}
    help me with {e}
    help me to calculate {e}
    use the calculator for {e}
    the result of {e}
    the answer to {e}
    what is the answer to {e}
    find {e}
    find the result of {e}
    """)
# How a user writes it, and the operator.
CALCULATIONS = [tuple(line.split(" : ")) for line in lines("""
    {a} + {b} : +
    {a} + {b} : +
    {a}+{b} : +
    {a} plus {b} : +
    {a} plus {b} : +
    the sum of {a} and {b} : +
    {a} added to {b} : +
    {a} * {b} : *
    {a} * {b} : *
    {a}*{b} : *
    {a} x {b} : *
    {a} times {b} : *
    {a} times {b} : *
    {a} multiplied by {b} : *
    the product of {a} and {b} : *
    {a} - {b} : -
    {a} - {b} : -
    {a}-{b} : -
    {a} minus {b} : -
    {a} minus {b} : -
    {a} less {b} : -
    the difference of {a} and {b} : -
    {a} / {b} : /
    {a} / {b} : /
    {a}/{b} : /
    {a} divided by {b} : /
    {a} divided by {b} : /
    {a} over {b} : /
    """)]
CALCULATE_ORDERS = [tuple(line.split(" : ")) for line in lines("""
    add {x} and {y} : +
    add {x} to {y} : +
    please add {x} and {y} : +
    can you add {x} and {y} : +
    add up {x} and {y} : +
    multiply {x} by {y} : *
    multiply {x} and {y} : *
    please multiply {x} by {y} : *
    can you multiply {x} by {y} : *
    multiply {x} with {y} : *
    divide {x} by {y} : /
    please divide {x} by {y} : /
    can you divide {x} by {y} : /
    i want to divide {x} by {y} : /
    take {y} from {x} : -
    subtract {y} from {x} : -
    please subtract {y} from {x} : -
    can you subtract {y} from {x} : -
    """)]

# Nouns that tools know of somebody or something, and what a tool says.
NOUNS = {
    "person": {"phone number": "digits", "address": "words", "birthday": "words", "age": "number",
               "salary": "number", "office": "number", "manager": "name", "height": "number",
               "team": "words", "score": "number", "job": "words", "nickname": "name"},
    "place": {"time": "clock", "population": "number", "mayor": "name", "area": "number",
              "language": "words", "distance": "number", "zip code": "digits", "river": "words"},
    "item": {"price": "number", "weight": "number", "stock": "number", "size": "number",
             "rating": "number", "owner": "name", "length": "number", "maker": "name",
             "discount": "number", "cost": "number"}}
ASK_OF = lines("""
    what is the {n} of {x}
    what's the {n} of {x}
    what is {x}'s {n}
    what's {x}'s {n}
    which {n} has {x}
    what {n} does {x} have
    which {n} does {x} have
    what do you know about the {n} of {x}
    tell me the {n} of {x}
    tell me {x}'s {n}
    tell me about the {n} of {x}
    tell me which {n} {x} has
    please tell me the {n} of {x}
    give me the {n} of {x}
    give me {x}'s {n}
    please give me the {n} of {x}
    get the {n} of {x}
    get me the {n} of {x}
    find the {n} of {x}
    find {x}'s {n}
    find out the {n} of {x}
    please find the {n} of {x}
    look up the {n} of {x}
    look up {x}'s {n}
    please look up the {n} of {x}
    check the {n} of {x}
    show me the {n} of {x}
    show me {x}'s {n}
    can you tell me the {n} of {x}
    can you find the {n} of {x}
    can you look up the {n} of {x}
    can you give me {x}'s {n}
    could you tell me the {n} of {x}
    could you look up the {n} of {x}
    could you check {x}'s {n}
    do you know the {n} of {x}
    do you know {x}'s {n}
    do you have the {n} of {x}
    i need the {n} of {x}
    i need {x}'s {n}
    i need to know the {n} of {x}
    i want to know the {n} of {x}
    i want the {n} of {x}
    i would like to know the {n} of {x}
    i'd like to have {x}'s {n}
    i am looking for the {n} of {x}
    i forgot the {n} of {x}
    the {n} of {x}
    {n} of {x}
    {x}'s {n}
    """)
TIMER = lines("""
    set a timer for {m} minutes
    set the timer to {m} minutes
    set a timer of {m} minutes
    set a {m} minute timer
    start a timer for {m} minutes
    start a {m} minute timer
    please set a timer for {m} minutes
    please start a timer of {m} minutes
    can you set a timer for {m} minutes
    can you start a timer for {m} minutes
    could you set a {m} minute timer
    i need a timer for {m} minutes
    i want a timer of {m} minutes
    give me a timer for {m} minutes
    timer for {m} minutes
    timer, {m} minutes
    wake me in {m} minutes
    please wake me in {m} minutes
    remind me in {m} minutes
    can you remind me in {m} minutes
    """)
MESSAGE = lines("""
    send a message to {p}: {w}
    send {p} a message: {w}
    send {p} the message {w}
    send {p} the words {w}
    send a note to {p}: {w}
    please send a message to {p}: {w}
    please send {p} the words {w}
    write a message to {p}: {w}
    write to {p}: {w}
    write {p} the words {w}
    please write to {p}: {w}
    message {p}: {w}
    message to {p}: {w}
    text {p}: {w}
    can you send {p} the message {w}
    can you write to {p}: {w}
    could you send a message to {p}: {w}
    i want to send {p} the words {w}
    i want to write to {p}: {w}
    tell {p}: {w}
    """)
MUSIC = lines("""
    play {w}
    play the song {w}
    play the music {w}
    please play {w}
    please play the song {w}
    can you play {w}
    can you play the song {w}
    could you play {w}
    could you play the song {w}
    i want to hear {w}
    i want to hear the song {w}
    i would like to hear {w}
    let me hear {w}
    let me hear the song {w}
    put on {w}
    put on the song {w}
    start the song {w}
    play me {w}
    play me the song {w}
    music: {w}
    """)
SWITCH = lines("""
    turn {o} the {d}
    turn the {d} {o}
    please turn {o} the {d}
    please turn the {d} {o}
    switch {o} the {d}
    switch the {d} {o}
    please switch {o} the {d}
    please switch the {d} {o}
    can you turn {o} the {d}
    can you turn the {d} {o}
    can you switch the {d} {o}
    could you turn the {d} {o}
    could you switch {o} the {d}
    i want the {d} {o}
    i want you to turn {o} the {d}
    i would like you to switch the {d} {o}
    make sure the {d} is {o}
    {d} {o}
    the {d} {o}
    """)
DEVICES = words("lamp, light, radio, heater, oven, fan, television, alarm, pump, camera, printer, "
                "computer, kitchen light, garden lamp, coffee machine, door bell")

# A calculation with what another tool knows, {q}; the operator, and "{n}" or a number.
CHAINS = [tuple(line.split(" : ")) for line in lines("""
    what is {q} times {n} : * : n
    how much is {q} times {n} : * : n
    calculate {q} times {n} : * : n
    multiply {q} by {n} : * : n
    please multiply {q} by {n} : * : n
    can you multiply {q} by {n} : * : n
    look up {q} and multiply it by {n} : * : n
    get {q} and multiply it by {n} : * : n
    find {q}, then multiply it by {n} : * : n
    take {q} and multiply it by {n} : * : n
    first get {q}, then multiply it by {n} : * : n
    what is {q} plus {n} : + : n
    how much is {q} plus {n} : + : n
    add {n} to {q} : + : n
    please add {n} to {q} : + : n
    look up {q} and add {n} : + : n
    get {q} and add {n} : + : n
    find {q}, then add {n} : + : n
    take {q} and add {n} : + : n
    first get {q}, then add {n} : + : n
    what is {q} minus {n} : - : n
    how much is {q} minus {n} : - : n
    subtract {n} from {q} : - : n
    look up {q} and subtract {n} : - : n
    take {q} and subtract {n} : - : n
    first get {q}, then subtract {n} : - : n
    double {q} : * : 2
    look up {q} and double it : * : 2
    get {q} and double it : * : 2
    find {q}, then double it : * : 2
    what is twice {q} : * : 2
    """)]

JOINERS = [" and ", " and ", ", and ", " and also ", ". ", "? ", ". and ", ", then ", "; "]
PAIRS = ["{x} and {y}", "{x} and {y}", "{x} and in {y}", "{x} and {y}", "both {x} and {y}"]

reserve(WEATHER)
reserve(CALCULATE)
reserve([phrase for phrase, _ in CALCULATE_ORDERS])
reserve(ASK_OF)
for action_frames in (TIMER, MESSAGE, MUSIC, SWITCH):
    reserve(action_frames)
reserve([phrase for phrase, _, _ in CHAINS])
