/* The technical words of the page and what they mean, in plain words; the only place where they are explained. Words that
   stand here need not be explained elsewhere: terms.js puts each explanation where its word appears first. Nothing here
   touches the page. */

/** An entry: other forms of its word, and what it means. @typedef {[string[], string]} Entry */

/** By the word as an explanation is headed. @type {Record<string, Entry>} */
export const GLOSSARY = {
  heatmap: [["heatmaps", "map", "maps"], "A value for each place of a picture, drawn as colours: the stronger, the more that place speaks for what the model says. In short: a map."],
  model: [["models"], "A program that learned from many pictures to say what is in one."],
  class: [["classes"], "One of the kinds of things that a model has a name for, such as “tabby cat”."],
  finding: [["findings"], "A thing that a model found in a picture: a box around it, a class, and how sure the model is."],
  detector: [[], "A model that draws boxes around things."],
  run: [["runs"], "One question about one or several pictures, with all that came of it: maps, verdicts, notes, files."],
  score: [["scores"], "The number by which a model says how strongly it means something."],
  classifier: [[], "A model that says which class a picture as a whole is of."],
  network: [["networks"], "The inside of a model: many small sums, one after the other, whose numbers were learned."],
  weights: [["weight", "weighed", "weighs"], "The numbers of a network that were learned; as a verb, how much something counts in a sum."],
  pixel: [["pixels", "px"], "One of the points that a picture is made of; px stands for pixels."],
  cell: [["cells"], "A map has fewer values than a picture has points; the small square that one value stands for is a cell."],

  method: [["methods"], "The formula that turns what went on in the model into a map. Without a choice, the best for this kind of model is taken; with several, their maps stand side by side."],
  "what of a finding": [[], "Class: why it has this class. Box: why its box is where it is. Mask: why its outline is so. All: everything at once. Below: one side of the box, its width, height or size, or whether there is anything at all."],
  mask: [["masks"], "Which points of the picture belong to a thing: its outline, filled."],
  objectness: [[], "How sure the model is that there is anything at all, whatever its class."],
  layers: [["layer"], "A network works in steps, its layers; early ones see edges, late ones see things. The map is read at a late one."],
  channels: [["channel"], "What one layer says of the picture is many small pictures of the same size, its channels: each answers to something else."],
  "several layers": [[], "How the maps of several layers become one: their average, or the largest value at each place. A map each: they stand side by side, to be compared."],
  confidence: [[], "How sure a detector is of a finding, from 0 to 1; findings below it are left out."],
  smoothing: [[], "Fewer stray specks at the price of sharpness."],
  "residual block": [["ResidualBlock", "InvertedResidual"], "A piece of a network that adds something to what came in, instead of replacing it."],
  stride: [[], "How many points of the picture lie between one cell and the next."],
  "average pooling": [["pooling", "AvgPool2d", "AdaptiveAvgPool2d", "SelectAdaptivePool2d"], "The average of all cells of a channel, so that one number is left."],
  linear: [[], "Of a step of a network: each number that comes out is a sum of those that go in, each times a learned number."],
  Conv2d: [["Conv", "Conv2dSame", "DWConv"], "A step that looks for small learned patterns at each place; it has a channel for each of them."],
  Upsample: [["ConvTranspose2d"], "A step that makes more cells of what comes in, each of which stands for fewer pixels."],
  BatchNorm2d: [["BatchNormAct2d", "GroupNorm", "LayerNorm"], "A step that brings the numbers of a layer to one size, so that none is far too large."],
  ReLU: [["ReLU6", "SiLU", "GELU"], "A step that leaves numbers above 0 as they are, and makes nothing, or little, of those below."],
  MaxPool2d: [[], "A step that keeps the largest of a few values beside each other, so that fewer cells are left."],
  Sequential: [["ModuleList"], "Several steps of a network, one after the other."],
  Identity: [["Dropout"], "A step that changes nothing once a network is trained."],
  Flatten: [[], "A step that puts all values in one row."],
  Concat: [[], "A step that puts the channels of several layers together."],
  Embedding: [[], "A learned row of numbers for each word."],
  logit: [["logits"], "A score as the network says it, before it is turned into a share of 1."],
  bias: [["biases"], "A learned number that is added whatever the picture shows."],
  prompt: [[], "The question that is put to a model."],
  features: [["feature", "feature map"], "What a layer says of each place: how much of this and that it sees there."],
  timm: [[], "A collection of models, and the program that brings them."],
  ImageNet: [["imagenet"], "A collection of a million photographs, each with one of a thousand classes, by which many models learned."],
  head: [[], "The last steps of a network, which make its answer."],
  training: [["trained", "untrained"], "Showing a network many pictures until its numbers give the right answers; without that it is untrained."],
  mean: [[], "The average."],
  std: [[], "How far values differ from their average, for short: standard deviation."],
  bilinear: [["bicubic"], "A way to make a picture larger or smaller: between two points, their colours are mixed by how near each is."],
  ultralytics: [[], "A company, and its program by which models named YOLO are used."],
  "principal direction": [[], "What most channels of a layer have in common; the rest is left out."],
  "changed copies": [[], "The average over mirrored and brighter copies of the picture."],
  check: [["checked", "checks"], "Whether to believe a map: what it marks is taken away step by step, and the model should mind that more than if random places went; and with random weights the map should change. Fast: the two surest findings of a picture. Full: every map."],
  "saved style": [[], "How pictures are drawn that are saved as files; what you see here has its own controls."],
  "input size": [[], "How large the picture is made for the model: one number such as 640, or height x width such as 480x640. Empty: the model’s own."],
  device: [[], "What computes. Auto takes the fastest that there is."],
  cpu: [[], "The processor of the computer, which every computer has."],
  cuda: [[], "A graphics card by NVIDIA; the number says which one."],
  mps: [[], "The graphics chip of an Apple computer."],
  seed: [[], "Where random numbers begin: the same seed gives the same map."],
  frame: [["frames"], "One of the still pictures that a video is made of."],
  Python: [[], "The programming language that isotherm is written in."],
  command: [[], "A line to be typed, in the window of a computer that takes such lines, which does the same without this page."],

  opacity: [[], "How strongly the map's colours cover the picture."],
  threshold: [[], "Values below this share of the scale are not coloured."],
  style: [["styles"], "How the map is laid over the picture: colours, lines of equal value, or both."],
  "lines of equal value": [[], "Lines along which the map has one value, as on a weather map: at a quarter, half and three quarters of the scale. The strong one is at half."],
  scale: [["scaled"], "Which values the two ends of the colours stand for. Where maps share it, the same colour is the same value in each of them."],
  "signed colours": [["signed"], "Colours for maps whose values may be below 0, which speak against: one colour for each side of 0."],
  range: [[], "The values at the ends of the colours. What lies beyond has the colour of the end."],
  "renormalise in boxes": [["renormalise", "each box by its own strongest value"], "Each box is scaled by its own largest value and nothing is drawn outside: every box is seen well, but boxes can no longer be compared."],

  verdict: [["verdicts"], "In a word, how far a map may be believed."],
  believable: [[], "What the map marks shows what was asked about clearly better than the rest of the picture does."],
  "cannot be judged": [[], "The picture does not tell maps apart: nearly any half of it shows what was asked about, or none does."],
  "evidence gain": [[], "How much better the model knows what was asked about from what the map marks than from the rest of the picture. 1 is the spread of its scores over all classes, or words."],
  doubtful: [[], "Some of the evidence for this map is missing: read the figures below. Take it for not shown, not for wrong."],
  "do not trust": [[], "The map failed a test; the figures below say by how much."],
  "no evidence": [[], "No value of the map is above 0: there is nothing to believe or doubt."],
  "not checked": [[], "It could not be checked: pictures with parts taken away have no score."],
  "not judged": [[], "Nobody asked for a check of this map."],
  deletion: [[], "A test: what the map marks is taken away from the picture first, and the score should fall soon."],
  insertion: [[], "A test: what the map marks is put back into an empty picture first, and the score should rise soon."],
  "random maps": [["random map", "random orders"], "Maps that know nothing, made by chance: a good map must do better than they do."],
  "the centre": [[], "A map that always marks the middle of the picture, where people mostly put what they photograph."],
  statistics: [[], "What can be said of the map in numbers."],
  histogram: [[], "How many values lie where: a bar for each piece of the range, as high as there are values in it."],
  peak: [[], "The place with the largest value."],
  entropy: [[], "How evenly the values are spread: small where few cells have nearly all, large where all have the same."],
  nats: [[], "The unit of entropy; what it comes to in cells stands beside it."],

  PNG: [[], "A file of a picture that loses nothing."],
  "16 bit": [[], "As a picture with 65,536 steps between black and white, where others have 256."],
  NPY: [[], "A file of plain numbers, for programs in Python."],
  NPZ: [[], "Several NPY files in one."],
  NumPy: [[], "What programs in Python compute with numbers by."],
  PDF: [[], "A file of pages to read and to print."],
  CSV: [[], "A table as text, for spreadsheets."],
  MP4: [[], "A file of a video."],
  JPEG: [["WebP"], "A file of a picture that is small, and loses a little."],
  zip: [[], "Many files packed into one."],
  https: [[], "The way to a page by which nobody between can read or change it."],

  HiResCAM: [[], "At each place of a layer: what went on there, times how much it would change the score, added up over all channels."],
  GradCAM: [[], "Each channel counts as much as it changes the score on average over the picture, and all are added up."],
  "GradCAM++": [[], "As GradCAM, where places that raise the score count for more in the average."],
  XGradCAM: [[], "As GradCAM, where places count for more in the average the more went on there."],
  LayerCAM: [[], "At each place: what went on there, times how much it raises the score; what lowers the score is left out."],
  ElementWiseCAM: [[], "As HiResCAM, but each channel counts only where it speaks for the score."],
  EigenCAM: [[], "What most channels have in common, whatever the score: it shows what the model sees, not why it decided."],
  EigenGradCAM: [[], "What most channels have in common, once each place counts as much as it changes the score."],
  "KPCA-CAM": [[], "As EigenCAM, but also what channels have in common in less simple ways."],
  FinerCAM: [[], "GradCAM of what sets a class apart from those that are most like it."],
  ShapleyCAM: [[], "GradCAM, corrected by how the importance of a channel itself changes."],
  ScoreCAM: [[], "The picture is seen through each channel in turn; the channel counts as much as the score that is left."],
  AblationCAM: [[], "Each channel is switched off in turn, and counts as much as the score falls."],
  FullGrad: [[], "How much the picture, and what every layer adds by itself, moves the score; all added up."],
  Occlusion: [[], "A blank patch is moved over the picture; a place counts as much as the score falls while it is covered."],
  RISE: [[], "The picture is seen through many coverings made by chance; a place counts as much as the score is higher when it is seen."],
  "D-RISE": [[], "RISE for findings: how well the same finding is found again through each covering."],
  IntegratedGradients: [["integrated_gradients"], "How much each place changes the score, added up on the way from a blank picture to this one."],
  Rollout: [[], "Which places each place looks at, followed through all layers."],
  LeGrad: [[], "How much the score of each layer rises with what its places look at."],
  "LeGrad (final score)": [[], "The same with the model's own score for all layers."],
  attention: [["MultiheadAttention"], "How much each place, or word, takes from each other one. As a map: which places of the picture the words of the answer look at."],
  attention_gradient: [[], "Which places the words look at, where that speaks for the answer."],
  chefer: [[], "What speaks for the answer in what words and places look at, followed through all layers; named after its author."],
  gradient_activation: [[], "At each place: what went on there, less the average, times how much it would change the score."],
  propagation: [[], "How much each place changes the score beside an average place, followed through the whole model."],
  relative_attention: [[], "Which places the words look at more than they do where the question is about nothing special."],
  token_activation: [[], "How strongly each place by itself would say the word of the answer."],
  token_occlusion: [[], "Each place is hidden in turn, and counts as much as the score falls."],
};

/** What a word means. @param {string} word as an entry is headed */
export function meaningIn(word) {
  return GLOSSARY[word][1];
}

/** Every form of every word, as it is written in the glossary, and the word. @type {Map<string, {form: string, word: string}>} */
const FORMS = new Map(Object.entries(GLOSSARY).flatMap(([word, [forms]]) => [word, ...forms].map((form) => /** @type {[string, {form: string, word: string}]} */ ([form.toLowerCase(), { form, word }]))));

const WORDS = new RegExp(`(?<![\\w.-])(?:${[...FORMS.keys()].sort((a, b) => b.length - a.length).map((form) => form.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})(?![\\w-])`, "gi");

/** Whether a text has a form and no other word of the same letters: names such as RISE are no verbs. @param {string} form @param {string} found */
function isForm(form, found) {
  return !/[A-Z].*[A-Z]/.test(form) || found === form;
}

/**
 * The technical words in a text, in their order.
 * @param {string} text
 * @returns {{word: string, start: number, end: number}[]}
 */
export function technicalWords(text) {
  return [...text.matchAll(WORDS)].flatMap(({ 0: found, index }) => {
    const { form, word } = /** @type {{form: string, word: string}} */ (FORMS.get(found.toLowerCase()));
    return isForm(form, found) ? [{ word, start: index, end: index + found.length }] : [];
  });
}

/** Whether a text as a whole is a technical word. @param {string} text */
export function isExplained(text) {
  return technicalWords(text).some(({ start, end }) => start === 0 && end === text.length);
}
