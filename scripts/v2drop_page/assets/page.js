"use strict";

// Shows, for the layer that the slider stands at, which tokens are alive and how the chosen method scores each one.
(() => {
  const source = document.getElementById("tokens");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const total = data.where.length;
  const find = (selector) => document.querySelector(selector);
  const slider = find("#layer");
  const heatColours = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

  const svgNode = (name, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const rectangle = ([x, y, width, height], className) => svgNode("rect", { x, y, width, height, class: className });

  function drawPanel(panel, group) {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const svg = svgNode("svg", { viewBox: panel.frame.join(" "), role: "img" });
    if (Math.max(...panel.size) <= 320) svg.classList.add("small");
    svg.append(svgNode("image", { href: panel.image, width: panel.size[0], height: panel.size[1], preserveAspectRatio: "none" }));
    const nodes = panel.tokens.map((token, place) => {
      const node = rectangle(panel.shapes[place], panel.marks[place] ? "token mark" : "token");
      node.dataset.token = token;
      svg.append(node);
      return node;
    });
    for (const tile of panel.tiles) svg.append(rectangle(tile, "tile"));
    figure.append(svg, caption);
    find(group).append(figure);
    return { panel, svg, caption, nodes };
  }
  const kept = data.panels.map((panel) => drawPanel(panel, ".panels.kept"));
  const heat = data.panels.map((panel) => drawPanel(panel, ".panels.heat"));
  if (!data.panels.some((panel) => panel.marks.includes(true))) document.body.classList.add("no-marks");
  find(".scale").style.background = `linear-gradient(90deg, ${heatColours.map((c) => `rgb(${c})`).join(", ")})`;

  function heatColour(share) {
    const at = Math.min(Math.max(share, 0), 1) * (heatColours.length - 1);
    const low = Math.min(Math.floor(at), heatColours.length - 2);
    return `rgb(${heatColours[low].map((c, i) => Math.round(c + (heatColours[low + 1][i] - c) * (at - low)))})`;
  }

  const run = () => data.runs[Number(find("input[name=method]:checked").value)];
  const layer = () => Number(slider.value);
  const stops = () => [0, ...run().stages];

  function drawStages() {
    find(".stages").replaceChildren(...stops().map((stop, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = number ? `Stage ${number}: layer ${stop}` : "All tokens";
      button.dataset.layer = stop;
      button.addEventListener("click", () => { slider.value = stop; draw(); });
      return button;
    }));
  }

  function drawKept(now, alive) {
    for (const { panel, svg, caption, nodes } of kept) {
      let count = 0;
      panel.tokens.forEach((token, place) => {
        nodes[place].classList.toggle("dropped", !alive[token]);
        count += alive[token];
      });
      caption.textContent = `${panel.title}: ${count} of ${panel.tokens.length}`;
      svg.setAttribute("aria-label", `${panel.title}: ${count} of ${panel.tokens.length} tokens kept at layer ${now}`);
    }
  }

  // What the method goes by: its score at the last stage. Between stages V2Drop's score is of interest too, the variation.
  function scoreAt(now) {
    const { method, scores, varies } = run();
    const stage = scores.filter((each) => each.layer <= now).pop();
    if (varies && !(stage && stage.layer === now)) {
      const none = "Layer 0 has no layer before it to compare with.";
      return { name: "Variation, dense model", values: now ? data.variation[now - 1] : null, none, layer: now };
    }
    const name = stage ? `Score of ${method}, before layer ${stage.layer}` : `Score of ${method}`;
    const none = scores.length ? `It scores tokens first before layer ${scores[0].layer}.` : "It scores no token.";
    return { name, values: stage ? stage.values : null, none, layer: stage && stage.layer };
  }

  function drawHeat(now) {
    const { name, values, none } = scoreAt(now);
    const sorted = values ? values.filter((value) => value !== null).sort((a, b) => a - b) : [];
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    const [low, high] = [at(0.02), at(0.98)];
    find("#heat-title").textContent = name;
    find(".heat-key .low").textContent = values ? low.toPrecision(3) : none;
    find(".heat-key .high").textContent = values ? high.toPrecision(3) : "";
    find(".scale").hidden = !values;
    find(".scale").style.display = values ? "" : "none";
    for (const { panel, svg, caption, nodes } of heat) {
      const scored = values ? panel.tokens.filter((token) => values[token] !== null) : [];
      panel.tokens.forEach((token, place) => {
        const known = values && values[token] !== null;
        nodes[place].style.fill = known ? heatColour((values[token] - low) / (high - low || 1)) : "transparent";
      });
      const mean = scored.reduce((sum, token) => sum + values[token], 0) / scored.length;
      caption.textContent = scored.length ? `${panel.title}: mean ${mean.toPrecision(3)}` : panel.title;
      svg.setAttribute("aria-label", scored.length ? `${panel.title}: ${name}, mean ${mean.toPrecision(3)}` : panel.title);
    }
  }

  function drawStrip(alive) {
    const places = alive.flatMap((one, token) => (one ? [token] : []));
    find(".strip svg").setAttribute("viewBox", `0 0 ${total} 1`);
    find(".strip path").setAttribute("d", places.map((token) => `M${token} 0h1v1h-1z`).join(""));
    const mean = places.reduce((sum, token) => sum + token, 0) / places.length / Math.max(total - 1, 1);
    find(".strip .place").textContent = places.length ? `mean position of kept tokens: ${mean.toFixed(3)}` : "none is kept";
  }

  function draw() {
    const now = layer();
    const alive = run().gone.map((gone) => gone > now);
    const count = alive.filter(Boolean).length;
    const text = `Layer ${now}: ${count} of ${total} tokens alive (${(100 * count / total).toFixed(1)}%)`;
    find("#status").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    const current = stops().filter((stop) => stop <= now).pop();
    for (const button of document.querySelectorAll(".stages button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.layer) === current));
    }
    drawKept(now, alive);
    drawHeat(now);
    drawStrip(alive);
  }

  function tellToken(event) {
    const token = event.target.dataset && event.target.dataset.token;
    if (token === undefined) return;
    const [now, gone] = [layer(), run().gone[token]];
    const fate = gone < data.depth ? `dropped before layer ${gone}` : "kept to the end";
    const { values, layer: scoredAt } = scoreAt(now);
    const score = values && values[token] !== null ? `; score at layer ${scoredAt}: ${values[token].toPrecision(3)}` : "";
    find(".token-note").textContent = `Token ${Number(token) + 1} of ${total}, ${data.where[token]}: ${fate}${score}`;
  }

  slider.addEventListener("input", draw);
  find(".methods").addEventListener("change", () => { drawStages(); draw(); });
  find(".views").addEventListener("pointerover", tellToken);
  drawStages();
  draw();
})();
