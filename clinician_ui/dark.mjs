// Gives every colour of a style sheet its counterpart in the dark: `light-dark(as written, counterpart)`, which the
// browser chooses by `color-scheme`. Style sheets are written once, in the light; a new component has its dark colours
// by rule, and the table below says them only where the rule would choose badly.
//
// The rule knows three uses. Ink (text, icons) and lines keep their hue and trade dark for light. Surfaces that are
// light become dark; those that are strong (a button, a banner) stay as they are, for their text is white in both.
// Whatever stands on the design system's yellow focus stays too. tests/clinician_ui/ measures the contrasts with axe.

const SURFACES = {
  "#fff": "#1d252c",
  "#f0f4f5": "#12181d",
  "#d8dde0": "#3a464f",
  "#e8edee": "#2a343c",
  "#212b32": "#e3e9ec",
  "#000": "#fff",
  "#fff9c4": "#3d3712",
  "#fff59d": "#4a4212",
};
const INKS = {
  "#212b32": "#e3e9ec",
  "#000": "#fff",
  "#4c6272": "#a9b8c2",
  "#005eb8": "#86bdf7",
  "#002f5c": "#b5d8fb",
  "#7c2855": "#efa6cc",
  "#330072": "#c4adf0",
  "#d5281b": "#ff9a90",
  "#fff": "#fff",
  "#ffeb3b": "#ffeb3b",
};
const LINES = {
  "#212b32": "#c9d3d9",
  "#000": "#fff",
  "#fff": "#fff",
  "#d8dde0": "#44515b",
  "#aeb7bd": "#5a6872",
  "#4c6272": "#93a4b0",
  "#005eb8": "#5aa2ea",
  "#d5281b": "#ff7d71",
  "#ffeb3b": "#ffeb3b",
};

const FOCUS = "#ffeb3b";
const USES = [
  [/^(?:color|fill|caret-color|text-decoration(?:-color)?|-webkit-text-fill-color)$/, "ink"],
  [/^background(?:-color|-image)?$/, "surface"],
  [/^(?:border|outline|column-rule)|^(?:stroke|text-shadow)$/, "line"],
  // The edge under a button is its own colour made darker, in the dark too.
  [/^box-shadow$/, "shadow"],
];
const COLOUR = /#[0-9a-f]{3,8}\b/gi;

function channels(colour) {
  const digits = colour.slice(1);
  const wide = digits.length < 6 ? [...digits].map((digit) => digit + digit).join("") : digits;
  return [0, 2, 4].map((at) => Number.parseInt(wide.slice(at, at + 2), 16) / 255);
}

function hueSaturationLightness(colour) {
  const [red, green, blue] = channels(colour);
  const [most, least] = [Math.max(red, green, blue), Math.min(red, green, blue)];
  const [lightness, range] = [(most + least) / 2, most - least];
  if (range === 0) {
    return [0, 0, lightness];
  }
  const saturation = range / (1 - Math.abs(2 * lightness - 1));
  const sixth = most === red ? ((green - blue) / range + 6) % 6 : most === green ? (blue - red) / range + 2 : (red - green) / range + 4;
  return [sixth * 60, saturation, lightness];
}

function hex(hue, saturation, lightness) {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  return `#${[0, 8, 4]
    .map((shift) => {
      const turn = (shift + hue / 30) % 12;
      const value = lightness - reach * Math.max(-1, Math.min(turn - 3, 9 - turn, 1));
      return Math.round(value * 255).toString(16).padStart(2, "0");
    })
    .join("")}`;
}

function short(colour) {
  const lower = colour.toLowerCase();
  return /^#(.)\1(.)\2(.)\3$/.test(lower) ? `#${lower[1]}${lower[3]}${lower[5]}` : lower;
}

// Exported for the tests.
export function counterpart(colour, use) {
  const written = short(colour);
  const named = { ink: INKS, surface: SURFACES, line: LINES, shadow: LINES }[use][written];
  if (named !== undefined || use === "shadow") {
    return named ?? written;
  }
  const [hue, saturation, lightness] = hueSaturationLightness(written);
  if (use === "surface") {
    if (lightness < 0.72) {
      return written;
    }
    return hex(hue, Math.min(saturation, 0.45), 0.17 + 0.35 * (1 - lightness));
  }
  if (lightness > 0.6) {
    return use === "line" ? hex(hue, Math.min(saturation, 0.6), 0.55) : written;
  }
  return hex(hue, Math.min(saturation, 0.6), use === "ink" ? 0.8 : 0.6);
}

function inTheDark(name, value) {
  const use = USES.find(([names]) => names.test(name))?.[1];
  // A colour with transparency is a shade upon something, and works upon the dark too.
  if (use === undefined) {
    return value;
  }
  return value.replace(COLOUR, (colour) => {
    if (colour.length === 5 || colour.length === 9) {
      return colour;
    }
    const dark = counterpart(colour, use);
    return dark === short(colour) ? colour : `light-dark(${colour},${dark})`;
  });
}

function declarations(body) {
  const parts = split(body);
  const onFocus = parts.some(([name, value]) => /^background/.test(name) && value.toLowerCase().includes(FOCUS));
  return parts
    .map(([name, value]) => {
      const plain = `${name}:${value}`;
      const turned = onFocus ? value : inTheDark(name, value);
      // A browser that does not know light-dark() keeps the colour as it was written.
      return turned === value ? plain : `${plain};${name}:${turned}`;
    })
    .join(";");
}

function split(body) {
  const parts = [];
  let from = 0;
  let depth = 0;
  let quote = "";
  for (let at = 0; at <= body.length; at += 1) {
    const sign = body[at];
    if (quote) {
      quote = sign === quote ? "" : quote;
    } else if (sign === '"' || sign === "'") {
      quote = sign;
    } else if (sign === "(") {
      depth += 1;
    } else if (sign === ")") {
      depth -= 1;
    } else if ((sign === ";" || sign === undefined) && depth === 0) {
      const text = body.slice(from, at);
      const colon = text.indexOf(":");
      if (colon > 0) {
        parts.push([text.slice(0, colon).trim(), text.slice(colon + 1).trim()]);
      }
      from = at + 1;
    }
  }
  return parts;
}

const NESTED = /^@(?:media|supports|layer|container)\b/;
// These say their colours themselves: for paper, for forced colours, for the dark.
const AS_WRITTEN = /\bprint\b|forced-colors|prefers-color-scheme/;

// Returns the style sheet with the counterpart of every colour beside it. `css` is what Sass writes when it compresses.
export function withDark(css) {
  let out = "";
  let at = 0;
  while (at < css.length) {
    const open = css.indexOf("{", at);
    if (open < 0) {
      return out + css.slice(at);
    }
    const close = matching(css, open);
    const prelude = css.slice(at, open);
    const selector = prelude.slice(prelude.lastIndexOf(";") + 1).trim();
    const body = css.slice(open + 1, close);
    out += `${prelude}{`;
    if (NESTED.test(selector)) {
      out += AS_WRITTEN.test(selector) ? body : withDark(body);
    } else {
      out += selector.startsWith("@") ? body : declarations(body);
    }
    out += "}";
    at = close + 1;
  }
  return out;
}

function matching(css, open) {
  let depth = 0;
  let quote = "";
  for (let at = open; at < css.length; at += 1) {
    const sign = css[at];
    if (quote) {
      quote = sign === quote ? "" : quote;
    } else if (sign === '"' || sign === "'") {
      quote = sign;
    } else if (sign === "{") {
      depth += 1;
    } else if (sign === "}") {
      depth -= 1;
      if (depth === 0) {
        return at;
      }
    }
  }
  throw new Error("the style sheet has a block that does not end");
}
