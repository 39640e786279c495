"""Kinds of things that a small drawing does not tell apart: a beagle and a labrador are drawn as a dog.

Every kind belongs to one concept, as everyday names do. Wordings of held_out.py that pair a paraphrase with
its concept are left out.
"""

from training.everyday import parse

KINDS = parse("""
dog: beagle, labrador, golden retriever, husky, bulldog, terrier, dachshund, corgi, chihuahua, spaniel, mutt
cat: tabby, tabby cat, siamese cat, house cat, tomcat
horse: stallion, mare, foal, racehorse
donkey: mule
cow: dairy cow, cattle
ox: bull
pig: piglet, hog
monkey: chimpanzee, baboon
bear: grizzly bear, brown bear
deer: fawn, elk, reindeer
rabbit: hare
goat: billy goat
mouse: field mouse
chipmunk: squirrel
bird: songbird, robin, sparrow, bluebird
black bird: raven, crow
parrot: macaw, parakeet
duck: mallard
eagle: hawk, falcon
dove: pigeon
fish: trout, salmon, bass, cod
tropical fish: clownfish, angelfish
snake: python, cobra, rattlesnake
lizard: gecko, iguana
crocodile: caiman
spider: tarantula
butterfly: monarch butterfly
beetle: scarab
snail: garden snail
deciduous tree: oak, oak tree, maple tree, birch, apple tree
evergreen tree: spruce, cedar, conifer
palm tree: coconut tree, coconut palm
cactus: desert cactus
potted plant: house plant
blossom: daisy
bouquet: bunch of roses
pizza: cheese pizza, pepperoni pizza
hamburger: beef burger, veggie burger
sandwich: grilled cheese sandwich, club sandwich
spaghetti: plate of noodles
bread: loaf of bread, white bread, sourdough
cookie: chocolate chip cookie, biscuit
cupcake: muffin
pie: apple pie, pumpkin pie
shortcake: slice of cake, cheesecake
birthday cake: layer cake, chocolate cake
ice cream: sundae, vanilla ice cream
doughnut: glazed donut
sushi: sushi rolls
hot beverage: latte, espresso, cappuccino, mug of coffee
wine glass: merlot
beer mug: lager
cocktail glass: margarita glass
cut of meat: sirloin steak, ribeye
cooking: omelette, frying pan
green salad: caesar salad, garden salad
steaming bowl: hot soup
chocolate bar: milk chocolate
red apple: fresh apple
tangerine: clementine
hot pepper: jalapeno
carrot: carrots
potato: potatoes
automobile: sedan, hatchback, coupe, minivan
bus: school bus, city bus
motorcycle: harley, dirt bike
bicycle: road bike, ten-speed
airplane: airliner, passenger plane
helicopter: chopper
sailboat: catamaran
canoe: kayak, paddle boat
passenger ship: ocean liner
ship: freighter
articulated lorry: semi truck, eighteen-wheeler
tractor: farm tractor
house: cottage, bungalow, suburban house
hut: cabin, log cabin
castle: fortress, palace
office building: skyscraper
hospital: clinic
hotel: motel
church: cathedral, chapel
mountain: peak, hill
beach with umbrella: sandy beach, seaside
water wave: surf, waves
guitar: bass guitar
musical keyboard: grand piano, synthesizer
violin: viola, cello
drum: snare drum, drum kit
trumpet: cornet, bugle
basketball: basketball game
american football: football game
video game: console, playstation, xbox
t-shirt: polo shirt, tee shirt
jeans: pants, slacks
dress: gown, sundress
coat: jacket, parka, raincoat
socks: wool socks
running shoe: trainers, gym shoes
high-heeled shoe: stilettos
hiking boot: work boots
handbag: tote bag
backpack: knapsack
glasses: spectacles, reading glasses
ring: engagement ring
crown: tiara
mobile phone: iphone
laptop: macbook, laptop computer
desktop computer: home computer
television: tv set, flat screen tv
camera: digital camera, polaroid
closed book: textbook, paperback
open book: poetry book
notebook: diary, journal
pencil: drawing pencil
candle: scented candle
bed: mattress
couch and lamp: loveseat
chair: armchair, stool
toolbox: set of tools
hammer: mallet
key: house key, car key
luggage: travel bag, suitcases
teddy bear: stuffed animal, stuffed toy
fishing pole: fishing gear
wrapped gift: christmas present
Christmas tree: xmas tree
pill: tablet, vitamin
syringe: injection
health worker: surgeon, paramedic
teacher: professor
cook: baker
firefighter: fireman
person lifting weights: bodybuilder
person in lotus position: yoga pose, meditation
person walking: pedestrian
person running: sprinter
baby: newborn, toddler
man: guy
woman: lady
soccer ball: soccer game
ballet shoes: ballet slippers
sun: bright sun
cityscape: downtown, skyscrapers
""")
