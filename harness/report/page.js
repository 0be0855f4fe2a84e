"use strict";
// The page's own script, behind sort.js: population switch, the scatter. It writes text with textContent only.

const data = JSON.parse(document.getElementById("points").textContent);
const margin = {left: 34, right: 6, top: 6, bottom: 32};
const panels = [];

function chosen(name) { return document.querySelector(`input[name=${name}]:checked`).value; }

function draw(panel) {
  const {canvas, proxy} = panel, box = canvas.getBoundingClientRect(), sharp = window.devicePixelRatio || 1;
  if (!box.width) return;
  canvas.width = Math.round(box.width * sharp);
  canvas.height = Math.round(box.height * sharp);
  const pen = canvas.getContext("2d"), look = getComputedStyle(canvas);
  const ink = look.getPropertyValue("--ink"), soft = look.getPropertyValue("--soft"), rule = look.getPropertyValue("--rule");
  const own = getComputedStyle(panel.figure).getPropertyValue("--own");
  pen.scale(sharp, sharp);
  const width = box.width - margin.left - margin.right, height = box.height - margin.top - margin.bottom;
  const x = at => margin.left + width * at / 1000, y = at => margin.top + height * (1 - at / 1000);
  const axis = proxy[chosen("axis")], member = data.members[chosen("population")];
  pen.font = "10px system-ui, sans-serif";
  pen.strokeStyle = rule; pen.fillStyle = soft; pen.lineWidth = 1;
  for (const [at, label] of data.upTicks) {
    pen.beginPath(); pen.moveTo(margin.left, y(at * 1000)); pen.lineTo(box.width - margin.right, y(at * 1000)); pen.stroke();
    pen.textAlign = "right"; pen.textBaseline = "middle"; pen.fillText(label, margin.left - 4, y(at * 1000));
  }
  pen.textAlign = "center"; pen.textBaseline = "top";
  for (const [at, label] of axis.ticks) {
    const half = pen.measureText(label).width / 2;
    pen.fillText(label, Math.min(Math.max(x(at * 1000), half), box.width - half), box.height - margin.bottom + 4);
  }
  if (axis.note) pen.fillText(axis.note, margin.left + width / 2, box.height - 13);
  panel.places = [];
  const size = data.archs.length > 1000 ? 2 : 3;
  for (let i = 0; i < data.archs.length; i++) {
    if (!member[i] || axis.at[i] < 0 || data.up[i] < 0) continue;
    const px = x(axis.at[i]), py = y(data.up[i]);
    panel.places.push([px, py, i]);
    if (data.connected[i]) {
      pen.globalAlpha = 0.5; pen.fillStyle = own; pen.fillRect(px - size / 2, py - size / 2, size, size);
    } else {
      pen.globalAlpha = 0.8; pen.strokeStyle = soft; pen.beginPath(); pen.arc(px, py, 2.5, 0, 7); pen.stroke();
    }
  }
  pen.globalAlpha = 1; pen.strokeStyle = ink; pen.lineWidth = 1.2;
  for (const i of proxy.picks[chosen("population")] || [])
    pen.strokeRect(x(axis.at[i]) - 3, y(data.up[i]) - 3, 6, 6);
  panel.caption.textContent = `${proxy.name}  ρ ${proxy.rho[chosen("population")] ?? "–"}`;
}

function point(panel, event) {
  const box = panel.canvas.getBoundingClientRect(), tip = document.getElementById("tip");
  let nearest = null, best = 225;
  for (const [px, py, i] of panel.places || []) {
    const distance = (px - event.clientX + box.left) ** 2 + (py - event.clientY + box.top) ** 2;
    if (distance < best) { best = distance; nearest = i; }
  }
  tip.hidden = nearest === null;
  if (nearest === null) return;
  const code = document.createElement("code");
  code.textContent = data.archs[nearest];
  tip.replaceChildren(code, `accuracy ${data.accuracy[nearest]} %, ${panel.proxy.name} ${panel.proxy.values[nearest]}`
    + (data.connected[nearest] ? "" : ", no path from input to output"));
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
}

for (const proxy of data.proxies) {
  const figure = document.createElement("figure"), canvas = document.createElement("canvas");
  const caption = document.createElement("figcaption");
  figure.className = proxy.slot;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Accuracy against ${proxy.name}`);
  figure.append(caption, canvas);
  document.getElementById("panels").append(figure);
  const panel = {figure, canvas, caption, proxy};
  canvas.addEventListener("pointermove", event => point(panel, event));
  canvas.addEventListener("pointerdown", event => point(panel, event));
  canvas.addEventListener("pointerleave", () => { document.getElementById("tip").hidden = true; });
  panels.push(panel);
}

function drawAll() { for (const panel of panels) draw(panel); }

function update() {
  for (const block of document.querySelectorAll(".population")) block.hidden = block.dataset.for !== chosen("population");
  const shown = data.archs.length, total = data.total;
  document.getElementById("shown").textContent = shown === total ? `${total.toLocaleString("en")} architectures are drawn` :
    `${shown.toLocaleString("en")} of ${total.toLocaleString("en")} architectures are drawn (evenly, with a fixed seed; the ten best and every proxy's ten picks are among them)`;
  document.getElementById("shown").textContent += data.upNote ? `; accuracy in percent, ${data.upNote}.` : "; accuracy in percent.";
  drawAll();
}

for (const input of document.querySelectorAll("input[type=radio]")) input.addEventListener("change", update);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
let waiting = 0;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawAll, 120); });
addEventListener("beforeprint", drawAll);
update();
