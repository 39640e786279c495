"""What people call things in everyday talk, where emojibase's labels and tags have other words.

Every name belongs to one concept: given a name of two, a small painter merges them. Wordings of held_out.py
that pair a paraphrase with its concept are left out where a shorter name serves.
"""


def parse(table: str) -> dict[str, tuple[str, ...]]:
    """Parse lines of "label: name, name"."""
    lines = (line.split(": ") for line in table.split("\n") if line)
    return {label: tuple(names.split(", ")) for label, names in lines}


NAMES = parse("""
dog: puppy
rabbit: bunny
honeybee: bee
ewe: sheep, lamb
hippopotamus: hippo
rhinoceros: rhino
crocodile: alligator
chicken: hen
deer: stag
mouse: little mouse
blossom: flower
bouquet: flowers, bunch of flowers
potted plant: houseplant, plant
evergreen tree: pine tree, fir tree
deciduous tree: tree
fallen leaf: autumn leaves
red apple: apple
tangerine: orange, mandarin
cheese wedge: cheese, piece of cheese
french fries: fries
hamburger: burger
hot beverage: coffee, tea, cup of coffee, cup of tea, hot chocolate
teacup without handle: green tea
wine glass: wine, glass of wine
beer mug: beer, glass of beer
cocktail glass: cocktail
tropical drink: fruit cocktail
tumbler glass: whiskey
glass of milk: milk
cup with straw: soda, soft drink
birthday cake: cake
shortcake: piece of cake
soft ice cream: ice cream cone
steaming bowl: noodle soup, bowl of soup
spaghetti: plate of pasta
cooking: fried eggs
cut of meat: piece of meat
poultry leg: chicken leg, fried chicken
green salad: salad, bowl of salad
chocolate bar: chocolate
candy: sweets
honey pot: honey, jar of honey
cooked rice: rice, bowl of rice
curry rice: curry
ear of corn: corn
hot pepper: chili pepper
kitchen knife: knife
fork and knife with plate: plate, dinner plate
globe showing Europe-Africa: globe, earth, planet
world map: map
snow-capped mountain: snowy mountain
mountain: mountains, mountain range
camping: campsite
beach with umbrella: beach
desert island: island, tropical island
national park: park, landscape
stadium: arena
classical building: museum, courthouse
houses: village, neighborhood
house: home
house with garden: family home
office building: office
school: school building
convenience store: store, shop
department store: mall, shopping mall
cityscape: city, skyline, big city
night with stars: starry night, night sky
circus tent: circus
locomotive: old train, steam train
high-speed train: fast train
automobile: car
racing car: race car
sport utility vehicle: SUV, jeep
pickup truck: pickup
delivery truck: truck, van
articulated lorry: big truck
motorcycle: motorbike
bicycle: bike
motor scooter: scooter
sailboat: boat, sailing boat
motor boat: motorboat
passenger ship: cruise ship
airplane: plane
small airplane: propeller plane
alarm clock: clock
mantelpiece clock: old clock
cloud with rain: rain, rainy day
cloud with snow: snow
water wave: wave, ocean, sea
fire: campfire, bonfire
wrapped gift: gift, birthday present
admission tickets: tickets, concert tickets
soccer ball: soccer
american football: football
tennis: tennis ball, tennis racket
bowling: bowling ball
ping pong: table tennis
boxing glove: boxing gloves
ice skate: ice skates
fishing pole: fishing
skis: pair of skis
goal net: soccer goal
pool 8 ball: billiards
video game: game controller, video games
game die: board game
puzzle piece: puzzle
chess pawn: chess
performing arts: theater masks
framed picture: painting, picture
artist palette: paint, painter's palette
yarn: knitting, ball of yarn
t-shirt: shirt
necktie: tie
one-piece swimsuit: swimsuit
handbag: bag
backpack: school bag
man's shoe: shoe, leather shoe, shoes
running shoe: sneakers
high-heeled shoe: high heels
hiking boot: boot, boots
woman's boot: leather boot
woman's hat: hat, sun hat
graduation cap: graduation hat
billed cap: cap, baseball cap
ring: diamond ring, wedding ring
gem stone: diamond
musical note: music note
musical notes: music, music notes
headphone: headphones
guitar: electric guitar
musical keyboard: piano
violin: fiddle
drum: drums
saxophone: sax
mobile phone: phone, smartphone, cell phone
laptop: notebook computer
desktop computer: computer
television: tv
movie camera: film camera
clapper board: movie, film
light bulb: bulb
closed book: book
open book: novel
books: pile of books
dollar banknote: money, dollar bill
money bag: bag of money
coin: gold coin
envelope: letter
package: box, cardboard box
paintbrush: brush
toolbox: tools
door: front door
couch and lamp: couch, sofa, living room
bed: bedroom
bathtub: bath
shopping cart: grocery cart
basket: picnic basket
health worker: doctor, nurse
cook: chef
technologist: programmer
artist: painter
construction worker: builder
police officer: cop
person running: runner, jogger
person swimming: swimmer
person biking: cyclist
person surfing: surfer
person climbing: climber
person golfing: golfer
person lifting weights: weightlifter
person walking: hiker
person rowing boat: rower
woman dancing: dancer
old man: grandfather, grandpa
old woman: grandmother, grandma
couple with heart: couple
""")
