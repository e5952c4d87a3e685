/* Modules import each other by the addresses that the studio serves them at; on the disk they lie beside their makers. */
import { register } from "node:module";

const resolve = `
  const ROOT = ${JSON.stringify(new URL("../../", import.meta.url).href)};
  const PLACES = { "/page/draw/": "src/isotherm/draw/page/", "/page/": "src/isotherm/studio/page/" };
  export async function resolve(name, context, next) {
    const start = Object.keys(PLACES).find((one) => name.startsWith(one));
    return next(start ? ROOT + PLACES[start] + name.slice(start.length) : name, context);
  }`;
register("data:text/javascript," + encodeURIComponent(resolve));
