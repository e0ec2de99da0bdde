"""Colours and the style sheet of the report.

Blue is what the attack shows, ink is the bound, orange is the claim: a triple that stays apart for all
common kinds of colour blindness, and each of the three also has its own line style. Text colours have a
contrast of at least 4.5 to the grounds that they stand on and lines one of at least 3; a test computes it.
"""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "card": "#f5f7f9",
    "ink": "#14181d",
    "muted": "#58626d",
    "rule": "#d8dee4",
    "blue": "#0a62a9",
    "orange": "#b04a00",
    "good": "#006b57",
    "bad": "#b3261e",
    "warn": "#7d5600",
}

DARK: Mapping[str, str] = {
    "paper": "#11151a",
    "card": "#1a2027",
    "ink": "#eaeef2",
    "muted": "#a4afba",
    "rule": "#323c47",
    "blue": "#6fb8f0",
    "orange": "#f4a052",
    "good": "#4fcbaa",
    "bad": "#ff8f86",
    "warn": "#ecc258",
}


def _variables(colours: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


_BASE = """
.ak{%(light)scolor-scheme:light dark;color:var(--ink);background:var(--paper);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
overflow-wrap:anywhere}
@media screen and (prefers-color-scheme:dark){.ak{%(dark)s}}
.ak *{box-sizing:border-box}
.ak h1,.ak h2,.ak h3,.ak p,.ak dl,.ak dd,.ak figure{margin:0}
.ak .status{display:inline-flex;align-items:center;gap:.45em;font-weight:600}
.ak .status svg{width:1.15em;height:1.15em;flex:none}
.ak .good{color:var(--good)}.ak .bad{color:var(--bad)}.ak .warn{color:var(--warn)}
.ak .plain{color:var(--muted)}
.ak .icon{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.ak .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(205px,1fr));gap:12px}
.ak .card{background:var(--card);border-radius:10px;padding:16px 18px 14px}
.ak .card h3{font-size:.82rem;font-weight:600;color:var(--muted)}
.ak .card .big{font-size:1.7rem;line-height:1.25;font-weight:650;letter-spacing:-.01em;margin:4px 0 6px;
font-variant-numeric:tabular-nums}
.ak .card p{font-size:.86rem;line-height:1.4;color:var(--muted)}
.ak .claim{color:var(--orange);font-weight:600}.ak .card.shown .big{color:var(--blue)}
.ak-plot{display:block;width:100%%;height:auto;overflow:visible}
.ak-plot text{font-size:13px;fill:var(--muted);font-family:inherit}
.ak-plot .l{fill:var(--ink)}
.ak-plot .t-ink{fill:var(--ink);font-weight:600}.ak-plot .t-blue{fill:var(--blue);font-weight:600}
.ak-plot .t-orange{fill:var(--orange);font-weight:600}
.ak-plot .halo{paint-order:stroke;stroke:var(--paper);stroke-width:5px;stroke-linejoin:round}
.ak-plot .g{stroke:var(--rule);stroke-width:1}.ak-plot .a{stroke:var(--muted);stroke-width:1.2}
.ak-plot .s{fill:none;stroke-width:2.2;stroke-linejoin:round}.ak-plot .thin{stroke-width:1.3}
.ak-plot .blue{stroke:var(--blue)}.ak-plot .ink{stroke:var(--ink)}.ak-plot .orange{stroke:var(--orange)}
.ak-plot .muted{stroke:var(--muted)}
.ak-plot .dash{stroke-dasharray:7 4}.ak-plot .dot{stroke-dasharray:1.5 4;stroke-linecap:round}
.ak-plot .f{stroke:none}.ak-plot .f.blue{fill:var(--blue);fill-opacity:.2}
.ak-plot .f.orange{fill:var(--orange);fill-opacity:.09}
.ak-plot .f.grey{fill:var(--muted);fill-opacity:.2}
.ak-plot .f.edge{stroke:var(--blue);stroke-width:1.3}
.ak-plot .m{stroke:var(--paper);stroke-width:1.5}.ak-plot .m.blue{fill:var(--blue)}
.ak-plot .m.ink{fill:var(--ink)}
.ak-plot .m.orange{fill:var(--orange)}
.ak-plot .atom{stroke:var(--blue);stroke-width:8}
.ak-plot .bar{stroke-width:10;stroke-opacity:.45}
@media (max-width:620px){.ak-plot text{font-size:16px}}
"""

_PAGE = """
html{background:var(--paper,#fff)}
body.ak{margin:0}
.ak main{max-width:960px;margin:0 auto;padding:40px 28px 72px}
.ak .kicker{display:flex;flex-wrap:wrap;justify-content:space-between;gap:2px 24px;font-size:.86rem;
color:var(--muted);
padding-bottom:14px;border-bottom:1px solid var(--rule)}
.ak .kicker b{color:var(--ink)}
.ak .hero{padding:40px 0 28px}
.ak .hero .status{font-size:1rem}
.ak h1{font-size:clamp(1.7rem,4.4vw,2.6rem);line-height:1.16;font-weight:680;letter-spacing:-.022em;
margin:10px 0 16px;
text-wrap:balance}
.ak .lead{font-size:1.12rem;max-width:44em}.ak .lead+.lead{margin-top:6px;color:var(--muted);font-size:1rem}
.ak section{padding-top:52px}
.ak h2{font-size:1.35rem;line-height:1.25;font-weight:660;letter-spacing:-.012em;margin-bottom:6px}
.ak .intro{color:var(--muted);max-width:44em;margin-bottom:20px}
.ak .fig{display:grid;grid-template-columns:minmax(0,560px) minmax(0,1fr);gap:8px 36px;padding:26px 0;
border-top:1px solid var(--rule)}
.ak .fig>div>h3{font-size:1.04rem;font-weight:640;margin-bottom:8px}
.ak .fig>div>p{font-size:.92rem;color:var(--muted);margin-bottom:10px}
.ak dl.facts+.absent,.ak .fig+.absent{margin-top:20px}
.ak .absent{border:1px dashed var(--rule);border-radius:10px;padding:20px;color:var(--muted);
font-size:.92rem}
.ak details{grid-column:1/-1;font-size:.86rem}
.ak summary{cursor:pointer;color:var(--muted);width:fit-content}
.ak .scroll{overflow-x:auto;margin-top:10px}
.ak .say+.say{margin-top:8px}
.ak table{overflow-wrap:break-word;border-collapse:collapse;width:100%%;font-size:.92rem;
font-variant-numeric:tabular-nums}
.ak details table{width:auto;font-size:.82rem}
.ak caption{text-align:left;color:var(--muted);padding-bottom:6px}
.ak th{font-weight:600;text-align:left;color:var(--muted);font-size:.82rem;vertical-align:bottom}
.ak th,.ak td{padding:9px 18px 9px 0;border-bottom:1px solid var(--rule);vertical-align:top}
.ak details th,.ak details td{padding:4px 18px 4px 0}
.ak td.n,.ak th.n{text-align:right;white-space:nowrap}
.ak td.w{white-space:nowrap}
.ak td small,.ak dt small{color:var(--muted);display:block}
.ak tr.first td{font-weight:640}
.ak tr.first td small{font-weight:400}
.ak .pixels{image-rendering:pixelated;display:block}
.ak .tag{display:inline-block;border:1px solid currentColor;border-radius:5px;padding:0 7px;font-size:.8rem;
font-weight:600}
.ak dl.rows{display:grid;grid-template-columns:minmax(90px,max-content) minmax(0,1fr);gap:5px 22px;
font-size:.92rem}
.ak dl.rows dt{color:var(--muted)}
.ak dl.facts{display:grid;grid-template-columns:minmax(0,1fr) max-content;gap:0;font-size:.9rem;
margin-top:14px;
font-variant-numeric:tabular-nums;overflow-wrap:normal}
.ak dl.facts dt,.ak dl.facts dd{padding:5px 0;border-bottom:1px solid var(--rule)}
.ak dl.facts dd{text-align:right;padding-left:14px}.ak dl.facts dt{color:var(--muted)}
.ak h3.group{font-size:.98rem;font-weight:640;margin:26px 0 8px}
.ak pre{background:var(--card);border-radius:10px;padding:14px 16px;margin:0 0 14px;white-space:pre-wrap;
font-size:.84rem}
.ak code,.ak pre,.ak .hash{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",
monospace}
.ak .hash{font-size:.82rem}
.ak ul.plain-list{list-style:none;padding:0;margin:0}
.ak ul.plain-list li{padding:10px 0;border-bottom:1px solid var(--rule);display:grid;
grid-template-columns:8.6em minmax(0,1fr);gap:2px 18px;align-items:start}
.ak ul.plain-list li small{color:var(--muted);font-size:.88rem;display:block}
.ak footer{margin-top:56px;padding-top:14px;border-top:1px solid var(--rule);color:var(--muted);
font-size:.84rem}
@media (max-width:820px){.ak .fig{grid-template-columns:minmax(0,1fr)}}
@media (max-width:620px){.ak main{padding:24px 18px 48px}.ak .hero{padding:26px 0 20px}
.ak section{padding-top:40px}
.ak ul.plain-list li{grid-template-columns:minmax(0,1fr)}
.ak table.stack,.ak .stack tbody,.ak .stack tr,.ak .stack td{display:block}.ak .stack thead{display:none}
.ak .stack td:empty{display:none}.ak .stack tr{padding:10px 0;border-bottom:1px solid var(--rule)}
.ak .stack td,.ak .stack td.n{border:0;padding:2px 0;text-align:left;white-space:normal}
.ak .stack td:not(:first-child)::before{content:attr(data-label) ": ";color:var(--muted);font-weight:400}
.ak .cards{grid-template-columns:repeat(2,minmax(0,1fr))}.ak .card{padding:13px 14px}
.ak .card .big{font-size:1.3rem}}
@page{size:A4;margin:15mm 14mm}
@media print{.ak{font-size:10.5pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}
.ak main{max-width:none;padding:0}.ak .hero{padding:18px 0}.ak section{padding-top:26px}
.ak .card,.ak .fig>div,.ak tr,.ak li{break-inside:avoid}.ak h2,.ak h3{break-after:avoid}
.ak .scroll{overflow:visible}.ak details::details-content{content-visibility:visible;height:auto}
.ak .fig{grid-template-columns:minmax(0,3fr) minmax(0,2fr)}
.ak .cards{grid-template-columns:repeat(4,minmax(0,1fr))}.ak .card{padding:10px 12px}
.ak .card .big{font-size:1.25rem}
.ak details table{font-size:7pt}
.ak details th,.ak details td{padding:.5mm 5mm .5mm 0;line-height:1.3;font-size:7pt}}
"""

_CARD = """
.ak-card{max-width:760px;border:1px solid var(--rule);border-radius:12px;padding:20px 22px;line-height:1.45}
.ak-card h3.answer{font-size:1.35rem;line-height:1.2;font-weight:660;letter-spacing:-.012em;
margin:6px 0 8px;color:var(--ink)}
.ak-card .lead{font-size:1rem}.ak-card .lead+.lead{color:var(--muted);font-size:.92rem}
.ak-card .cards{margin-top:16px}
.ak-card .ak-plot{max-width:560px;margin-top:12px}
.ak-card .card{padding:12px 14px}.ak-card .card .big{font-size:1.25rem}
.ak-card .cards{grid-template-columns:repeat(auto-fit,minmax(150px,1fr))}
"""


def _filled(template: str) -> str:
    return " ".join((template % {"light": _variables(LIGHT), "dark": _variables(DARK)}).split("\n")).strip()


PAGE_CSS = _filled(_BASE + _PAGE)
CARD_CSS = _filled(_BASE + _CARD)
