/* What the form says -> the options of the job `explain`, as isotherm.jobs.explain.options names them. Only what
   differs from the defaults is in them, and only what makes sense for the model. Nothing here touches the page. */

/**
 * A model that may be asked for. kind: classifier, detector, segmenter (says which class each pixel is of), maps (gives a number at every place: depth, keypoints), question, auto (a classifier, chosen by what is
 * installed). masks: a detector that has an outline for each finding. prompts: what it looks for besides its own classes: none, text, visual (which includes text).
 * @typedef {{name: string, kind: string, prompts?: string | string[], family?: string, title?: string, why?: string, error?: string | null, stands_for?: string, masks?: boolean, lacks_classes?: boolean}} Model
 */
/**
 * A method. subject: pictures, answers; several as a list, or in `explains`.
 * @typedef {{name: string, subject?: string | string[], explains?: string[], title?: string, line?: string, text?: string}} Method
 */
/**
 * What the form says. what: auto (the model's own choice), class, top, box, point (a place, as x, y). parts: what of a finding. answerPart: what
 * of an answer. like: boxes around things to find more of, as the job's option of that name has them.
 * @typedef {{
 *   model: string, classes: string, like: string, prompt: string, answer: string, versus: string, answerPart: string,
 *   what: string, cls: string, top: number, box: number[] | null, point: string, parts: string[], methods: string[], layers: string[],
 *   fuse: string, smooth: string, trust: string, style: string, confidence: string, size: string, device: string,
 *   seed: string, sharedScale: boolean, together: boolean, showBoxes: boolean, renormalise: boolean
 * }} Form
 */

/** @type {Form} */
export const BLANK = {
  model: "auto", classes: "", like: "", prompt: "", answer: "", versus: "", answerPart: "", what: "auto", cls: "", top: 3,
  box: null, point: "", parts: ["class"], methods: [], layers: [], fuse: "mean", smooth: "none", trust: "fast", style: "isotherm",
  confidence: "", size: "", device: "auto", seed: "", sharedScale: false, together: false, showBoxes: true, renormalise: false,
};

/** Parts of a finding that a detector can be asked about, with what they mean. */
export const PARTS = [
  ["class", "why this class"], ["box", "why this box, all four sides"], ["left", "left side"], ["top", "top side"],
  ["right", "right side"], ["bottom", "bottom side"], ["width", "width"], ["height", "height"], ["size", "size"],
  ["mask", "why this outline"], ["objectness", "why anything at all"], ["all", "everything at once"],
];

/** Parts of an answer that a vision-language model can be asked about. */
export const ANSWER_PARTS = [
  ["", "what fits the question"], ["whole", "the whole answer"], ["answer", "each word by itself"], ["count", "the number in it"],
  ["token", "its first piece"], ["next", "what comes next"],
];

/**
 * @param {Model | undefined} model
 * @param {"text" | "visual"} kind
 */
export function takes(model, kind) {
  const prompts = /** @type {string[]} */ ([]).concat(model?.prompts ?? []);
  return prompts.some((one) => one.includes(kind) || (kind === "text" && one.includes("visual")));
}

/**
 * The names of the form's fields that make sense for a model.
 * @param {Model | undefined} model
 * @param {{pictures?: number}} [how]
 * @returns {Set<string>}
 */
export function fieldsFor(model, { pictures = 1 } = {}) {
  const every = ["model", "methods", "trust", "style", "device", "size", "seed", ...(pictures > 1 ? ["sharedScale"] : [])];
  if (model?.kind === "question") return new Set([...every, "prompt", "answerPart", "answer", "versus", ...(pictures > 1 ? ["together"] : [])]);
  const seen = [...every, "what", "layers", "fuse", "smooth"];
  if (model?.kind === "maps") return new Set([...seen, "point"]);
  if (!isDetector(model)) return new Set([...seen, ...(model?.kind === "segmenter" ? [] : ["top", "versus"])]);
  return new Set([...seen, "box", "parts", "confidence", "showBoxes", "renormalise", ...(takes(model, "text") ? ["classes"] : []), ...(takes(model, "visual") ? ["like"] : [])]);
}

/** @param {Model | undefined} model */
export function isDetector(model) {
  return model?.kind === "detector";
}

/**
 * The parts of a finding that a model has.
 * @param {Model | undefined} model
 */
export function partsOf(model) {
  return PARTS.filter(([name]) => name !== "mask" || model?.masks);
}

/**
 * The methods that explain what a model says.
 * @param {Method[]} methods
 * @param {Model | undefined} model
 */
export function methodsFor(methods, model) {
  const subject = model?.kind === "question" ? "answers" : "pictures";
  return methods.filter((one) => {
    const subjects = /** @type {string[]} */ ([]).concat(one.subject ?? [], one.explains ?? []);
    return !subjects.length || subjects.includes(subject);
  });
}

/**
 * The options of the job.
 * @param {Form} form
 * @param {Model | undefined} model
 * @param {{pictures?: number}} [how]
 * @returns {Record<string, any>}
 */
export function optionsOf(form, model, how = {}) {
  const has = fieldsFor(model, how), options = /** @type {Record<string, any>} */ ({ model: form.model });
  /** @param {string} name @param {any} value */
  const set = (name, value) => { if (value !== "" && value !== null && value !== undefined && value !== false) options[name] = value; };
  if (has.has("prompt")) {
    set("prompt", form.prompt.trim());
    set("answer", form.answer.trim());
    if (form.answer.trim()) set("versus", form.versus.trim());
    set("target", form.answerPart);
    set("together", has.has("together") && form.together);
  } else subjectOf(form, model, has, set, options);
  if (form.methods.length === 1) set("method", form.methods[0]);
  if (form.methods.length > 1) set("compare", form.methods.join(","));
  if (has.has("layers")) {
    set("layer", form.layers.join(","));
    set("fuse", form.fuse === "mean" ? "" : form.fuse);
    set("smooth", form.smooth === "none" ? "" : form.smooth);
  }
  set("trust", form.trust === "fast" ? "" : form.trust);
  set("style", form.style === "isotherm" ? "" : form.style);
  set("device", form.device === "auto" ? "" : form.device);
  set("size", form.size.trim());
  if (form.seed.trim() !== "") set("seed", Number(form.seed));
  set("shared_scale", has.has("sharedScale") && form.sharedScale);
  return options;
}

/**
 * What of a picture is explained: a class, the likeliest ones, a finding.
 * @param {Form} form
 * @param {Model | undefined} model
 * @param {Set<string>} has
 * @param {(name: string, value: any) => void} set
 * @param {Record<string, any>} options
 */
function subjectOf(form, model, has, set, options) {
  if (has.has("classes")) set("classes", listed(form.classes));
  if (has.has("like")) set("like", form.like);
  if (has.has("confidence") && form.confidence.trim() !== "") set("confidence", Number(form.confidence));
  if (has.has("showBoxes") && !form.showBoxes) options.show_boxes = false;
  if (has.has("renormalise")) set("renormalise", form.renormalise);
  if (form.what === "class") set("cls", listed(form.cls));
  if (form.what === "top" && has.has("top")) set("top", form.top);
  if (form.what === "box" && has.has("box") && form.box) set("box", form.box.map(rounded).join(","));
  if (form.what === "point" && has.has("point")) set("point", form.point.replace(/\s/g, ""));
  if (form.what === "class" && form.cls.trim() && has.has("versus")) set("versus", form.versus.trim());
  if (has.has("parts")) {
    const parts = form.parts.filter((part) => partsOf(model).some(([name]) => name === part));
    const target = parts.includes("all") ? "all" : parts.join(",");
    set("target", target === "class" ? "" : target);
  }
}

/**
 * The form that options of a run come from; the other way round of `optionsOf`.
 * @param {Record<string, any>} options
 * @returns {Form}
 */
export function formOf(options) {
  /** @param {string} name */
  const text = (name) => (options[name] === undefined || options[name] === null ? "" : String(options[name]));
  const box = text("box").split(",").map(Number), question = Boolean(text("prompt"));
  const isBox = box.length === 4 && box.every(Number.isFinite);
  return {
    ...BLANK, model: text("model") || "auto", classes: text("classes"), prompt: text("prompt"), answer: text("answer"), versus: text("versus"),
    like: text("like"),
    answerPart: question ? text("target") : "", parts: question || !text("target") ? ["class"] : text("target").split(","),
    what: text("cls") ? "class" : text("top") ? "top" : isBox ? "box" : text("point") ? "point" : "auto", point: text("point"), cls: text("cls"), top: Number(options.top ?? 3), box: isBox ? box : null,
    methods: (text("compare") || text("method")).split(",").filter(Boolean), layers: text("layer") === "auto" ? [] : text("layer").split(",").filter(Boolean),
    fuse: text("fuse") || "mean", smooth: text("smooth") || "none", trust: text("trust") || "fast", style: text("style") || "isotherm",
    confidence: text("confidence"), size: text("size"), device: text("device") || "auto", seed: text("seed"),
    sharedScale: Boolean(options.shared_scale), together: Boolean(options.together),
    showBoxes: options.show_boxes !== false, renormalise: Boolean(options.renormalise),
  };
}

/** A question that a model can answer; the shipped one knows the words of generated shapes alone. @param {Model | undefined} model */
export function exampleQuestion(model) {
  return model?.family === "tiny-vlm" ? "how many red ?" : "How many cups are there?";
}

/**
 * Why the form cannot be sent yet, in the page's words; empty where it can.
 * @param {Form} form
 * @param {Model | undefined} model
 * @returns {{field: string, text: string} | null}
 */
export function missing(form, model) {
  const has = fieldsFor(model);
  if (model?.error) return { field: "model", text: `This model cannot be opened: ${model.error.replace(/\.?$/, ".")} Choose another one.` };
  if (model?.lacks_classes && has.has("classes") && !form.classes.trim() && !form.like)
    return { field: "classes", text: "This model has no classes of its own: write what to look for, or draw boxes around such things." };
  if (has.has("prompt") && !form.prompt.trim()) return { field: "prompt", text: `This model answers questions: write one, such as “${exampleQuestion(model)}”` };
  if (has.has("prompt") && form.versus.trim() && !form.answer.trim()) return { field: "answer", text: "“Rather than” compares two answers: write the first one above it." };
  if (has.has("what") && form.what === "class" && !form.cls.trim()) return { field: "cls", text: "Write the class to explain, or let the model choose." };
  if (has.has("box") && form.what === "box" && !form.box) return { field: "what", text: "Click a finding in the picture, or choose another thing to explain." };
  if (has.has("point") && form.what === "point" && !/^\s*\d+(\.\d+)?\s*,\s*\d+(\.\d+)?\s*$/.test(form.point))
    return { field: "point", text: "Write the place as x, y in pixels of the picture, such as 320, 240." };
  if (has.has("confidence") && form.confidence.trim() !== "" && !(Number(form.confidence) >= 0 && Number(form.confidence) <= 1))
    return { field: "confidence", text: "The confidence is a number from 0 to 1, such as 0.25." };
  if (form.seed.trim() !== "" && !/^\d{1,15}$/.test(form.seed.trim())) return { field: "seed", text: "The seed is a whole number from 0." };
  if (form.size.trim() !== "" && !/^\d{2,5}(x\d{2,5})?$/.test(form.size.trim())) return { field: "size", text: "The input size is one number such as 640, or height x width such as 480x640." };
  return null;
}

/** Entries separated by commas or line ends, cleaned. @param {string} text */
function listed(text) {
  return text.split(/[,\n]/).map((one) => one.trim()).filter(Boolean).join(",");
}

/** Picture pixels to a tenth. @param {number} value */
function rounded(value) {
  return Math.round(10 * value) / 10;
}
