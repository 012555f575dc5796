/** The style sheet of the page. Every pair of ink and ground has a contrast of at least 4.5, shapes of at least 3. */
export const STYLE = `
:root{color-scheme:light dark;--ground:#f4f6f8;--card:#fff;--ink:#17212e;--soft:#4d5b6c;--rule:#d4dbe3;--accent:#0b6e75;--fill:#d6ecec;--proven:#157a5b;--held:#3a78c9;--older:#6a5fa0;--lost:#c22f2f;--blank:#e6eaef;--fine-ground:#e3f4ec;--fine:#0f5f45;--warning-ground:#fdf2d6;--warning:#754f00;--critical-ground:#fde6e4;--critical:#9d1f1f;--note-ground:#e5eefb;--note:#1f4f96}
@media screen and (prefers-color-scheme:dark){:root{--ground:#10161d;--card:#19222c;--ink:#e8edf3;--soft:#a9b6c5;--rule:#33404e;--accent:#5fc9cf;--fill:#1d4247;--proven:#3fae87;--held:#6aa3ea;--older:#aca0e6;--lost:#f07070;--blank:#2a3542;--fine-ground:#12352a;--fine:#8be0be;--warning-ground:#3b2f10;--warning:#f3cd78;--critical-ground:#431d1d;--critical:#ffb1ab;--note-ground:#1a2f4d;--note:#a9cbff}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
header,main,footer,nav{max-width:72rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.75rem}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .3rem;letter-spacing:-.01em}
h2{font-size:1.2rem;line-height:1.3;margin:2.25rem 0 .4rem;letter-spacing:-.005em}
h3{font-size:1rem;margin:0}
p{margin:.2rem 0}
.lead,.quiet,header p,footer{color:var(--soft)}
.lead{margin-bottom:.9rem;max-width:46rem}
a{color:var(--accent)}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;margin:.7rem 0 1.2rem;padding:0}
nav a{display:inline-block;padding:.3rem 0}
.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:.9rem 1rem}
.code,td,th,.tile strong,.now{font-variant-numeric:tabular-nums}
.code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.92em}
.verdict{display:flex;gap:.9rem;align-items:center;border-radius:12px;padding:1rem 1.1rem;border:1px solid currentColor}
.verdict h2{margin:0;font-size:1.3rem}
.verdict.fine{background:var(--fine-ground);color:var(--fine)}
.critical{background:var(--critical-ground);color:var(--critical)}
.warning{background:var(--warning-ground);color:var(--warning)}
.note{background:var(--note-ground);color:var(--note)}
.sign{flex:none;display:grid;place-items:center;width:2.2rem;height:2.2rem;border:2px solid currentColor;border-radius:50%;font-weight:700}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,10.2rem),1fr));gap:.7rem;margin:.9rem 0 0}
.tile dt{color:var(--soft);font-size:.86rem}
.tile dd{margin:0}
.tile strong{display:block;font-size:1.3rem;line-height:1.35}
.tile span{color:var(--soft);font-size:.86rem}
.anomalies{list-style:none;padding:0;margin:0;display:grid;gap:.7rem}
.anomaly{display:flex;gap:.9rem;border-color:currentColor}
.anomaly>div{min-width:0}
.anomaly .sign{width:1.7rem;height:1.7rem;font-size:.9rem}
.severity{font-size:.78rem;text-transform:uppercase;letter-spacing:.06em;margin:0}
.things{margin:.3rem 0;padding-left:1.1rem;color:var(--ink);list-style:disc}
.goes{margin-top:.7rem}
.names{display:flex;flex-wrap:wrap;gap:.1rem 1rem;list-style:none;padding:0;margin:.5rem 0 0}
.advice{color:var(--ink)}
.legend{display:flex;flex-wrap:wrap;gap:.35rem 1.1rem;list-style:none;padding:0;margin:0 0 .9rem;font-size:.9rem}
.legend li{display:flex;align-items:center;gap:.45rem}
.lanes{display:grid;gap:.85rem}
.row{display:grid;grid-template-columns:minmax(9rem,15rem) minmax(0,1fr);gap:.2rem 1rem;align-items:start}
.label{line-height:1.25;margin:0}
.label small{display:block;color:var(--soft);font-size:.82rem}
svg{display:block;max-width:100%}
svg text{fill:var(--soft);font-size:12px}
.ground{fill:var(--blank)}
.apart rect{stroke:var(--card);stroke-width:1.5px}
.s-proven,.p-proven{fill:var(--proven)}
.p-held{fill:var(--held)}.s-held{fill:url(#p-held)}
.p-older{fill:var(--older)}.s-older{fill:url(#p-older)}
.p-lost{fill:var(--lost)}.s-lost{fill:url(#p-lost)}
.p-ink{stroke:var(--card);stroke-width:2px;fill:none}
.m-now,.m-drop{stroke:var(--ink);stroke-width:2px}
.m-drop{stroke-dasharray:3 3}
.m-case{stroke:var(--card);stroke-width:5px}
.s-set{fill:var(--accent)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:.7rem}
.chart{margin:0;min-width:0}
.chart figcaption p{color:var(--soft);font-size:.86rem;margin:0}
.now{font-size:1.3rem;font-weight:650;margin:.4rem 0}
.now small{color:var(--soft);font-size:.86rem;font-weight:400}
.plot{overflow:visible}.plot text{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
.line{fill:none;stroke:var(--accent);stroke-width:2px;stroke-linejoin:round;vector-effect:non-scaling-stroke}
.area{fill:var(--fill)}
.dot{fill:var(--accent);stroke:var(--card);stroke-width:1.5px}
.grid,.axis{stroke:var(--rule)}
details{margin-top:.9rem}
summary{cursor:pointer;color:var(--accent);padding:.35rem 0}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.scroll{overflow:auto;max-height:36rem;margin-top:.7rem;background:var(--card);border:1px solid var(--rule);border-radius:10px}
table{border-collapse:collapse;width:100%;font-size:.88rem;overflow-wrap:normal}
caption{text-align:left;padding:.7rem .65rem .3rem;color:var(--soft)}
th,td{text-align:left;padding:.4rem .65rem;border-top:1px solid var(--rule);vertical-align:top;white-space:nowrap}
tbody td{white-space:normal;min-width:5.5rem;max-width:22rem}
tbody th{font-weight:500}
thead th{color:var(--soft);font-weight:600;position:sticky;top:0;background:var(--card)}
.num{text-align:right}
td.num,td time{white-space:nowrap;min-width:0}
footer{padding-top:2rem;padding-bottom:2.5rem;font-size:.86rem}
.patterns{position:absolute;width:0;height:0}
@media (max-width:40rem){.row{grid-template-columns:minmax(0,1fr)}.label small{display:inline;margin-left:.5rem}h1{font-size:1.35rem}.tiles{grid-template-columns:1fr 1fr}.tile{padding:.7rem .8rem}.tile strong{font-size:1.1rem}}
@media print{@page{margin:14mm}summary{display:none}:root{color-scheme:light}body{background:#fff;font-size:11px}nav{display:none}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}.card,.row,.verdict,.anomaly,tr{break-inside:avoid}h2,h3{break-after:avoid}.scroll{overflow:visible;max-height:none;border:0}thead th{position:static}table{font-size:8px}th,td{padding:.2rem .3rem;white-space:normal}details::details-content{content-visibility:visible;height:auto}.charts{grid-template-columns:1fr 1fr}}
`
