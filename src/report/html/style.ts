import { Markup } from './markup.ts';

const LIGHT =
  '--paper:#fff;--ink:#1a1f25;--muted:#56606b;--line:#d3d9df;--soft:#f3f6f8;--kept:#0b6a9c;--removed:#8b95a1;--good:#17632c;--bad:#a3161c;--warn:#7a4b00;--good-soft:#eef7f0;--bad-soft:#fdeeee;--warn-soft:#fdf5e6';
const DARK =
  '--paper:#12161a;--ink:#e4e8ec;--muted:#a3adb8;--line:#353d46;--soft:#1b2127;--kept:#58b0e3;--removed:#6d7884;--good:#6fd08a;--bad:#ff9a94;--warn:#e8b75a;--good-soft:#14251a;--bad-soft:#2d1718;--warn-soft:#2a2111';

/** Paper is white: dark colours are for screens alone. */
export const STYLE = new Markup(`
:root{${LIGHT};color-scheme:light dark}
@media screen and (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:60rem;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere;-webkit-text-size-adjust:100%;text-size-adjust:100%}
h1,h2,h3{line-height:1.25;text-wrap:balance}
h1{margin:0;font-size:1.75rem}
h2{margin:0 0 1rem;font-size:1.25rem}
h3{margin:0;font-size:1rem}
p{margin:0 0 .75rem;max-width:44rem}
section{margin-top:3rem}
code{font:.875em/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
small,.note,.kind,dt,caption,figcaption+p{color:var(--muted)}
.kind{margin:0 0 .25rem}
.note,.legend,small{font-size:.875rem}
a{color:var(--kept)}
.decision{--tone:var(--muted);--tint:var(--soft);margin-top:1rem;padding:clamp(.5rem,2.5vw,1.25rem);border:2px solid var(--tone);border-radius:.5rem;background:var(--paper)}
.good{--tone:var(--good);--tint:var(--good-soft)}
.bad{--tone:var(--bad);--tint:var(--bad-soft)}
.warn{--tone:var(--warn);--tint:var(--warn-soft)}
.plain{--tone:var(--kept)}
.badge{display:inline-block;margin:0 0 .75rem;padding:.125rem .75rem;border:1px solid var(--tone);border-radius:1rem;background:var(--tint);color:var(--tone);font-weight:600}
.sentence{margin:0 0 1.25rem;max-width:48rem;font-size:1.25rem;line-height:1.4}
.void{background:var(--tint)}
.void figure{--paper:var(--bad-soft)}
.void .badge{background:var(--tone);color:var(--paper)}
.void .sentence{color:var(--bad);font-weight:600}
.figures{display:grid;grid-template-columns:repeat(2,1fr);gap:1rem}
@media (min-width:40rem),print{.figures{grid-template-columns:repeat(5,1fr)}}
.figures dt{font-size:.875rem}
.figures strong{display:block;font-size:1.25rem;line-height:1.3;font-weight:600;font-variant-numeric:tabular-nums}
.figures :is(span,a){display:block;font-size:.8125rem;line-height:1.4}
.figures span{color:var(--muted)}
.figures .same strong,.void .figures strong{color:var(--muted);font-weight:500}
.beside{display:grid;gap:1.5rem 2rem;margin-top:1.25rem;padding-top:1.25rem;border-top:1px solid var(--line)}
@media (min-width:45rem),print{.beside:not(.alone){grid-template-columns:1fr 1fr}}
.beside figure{max-width:30rem}
.next h2{margin:0 0 .5rem;font-size:1rem}
.next ol{margin:0;padding-left:1.25rem}
.next li+li{margin-top:.5rem}
.next code{padding:.0625rem .25rem;border-radius:.25rem;background:var(--soft)}
.void .next code{background:var(--paper)}
pre{margin:0;padding:.75rem 1rem;overflow-x:auto;background:var(--soft);white-space:pre-wrap}
dl{margin:0}
dd{margin:0}
.warnings{margin:0 0 1.5rem;padding:0;list-style:none}
.warnings li{padding:.75rem 1rem;background:var(--warn-soft);border-left:.25rem solid var(--warn)}
.warnings li+li{margin-top:.5rem}
.warnings p{margin:.25rem 0 0}
.asked div,.provenance div{display:grid;grid-template-columns:8rem 1fr;gap:0 1rem;padding:.5rem 0;border-top:1px solid var(--line)}
.asked div:last-child,.provenance div:last-child{border-bottom:1px solid var(--line)}
@media (max-width:30rem){.asked div,.provenance div{grid-template-columns:1fr}}
figure{margin:0}
figcaption{font-weight:600;margin-bottom:.5rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr));gap:2.5rem 3rem}
.pair figure{max-width:30rem}
.chart{display:block;width:100%;height:auto;overflow:visible;font-family:inherit}
.chart text{white-space:pre}
.wide{display:none}
.narrow{max-width:30rem}
@media (min-width:45rem),print{.wide{display:block}.narrow{display:none}}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.75rem 0 0;padding:0;list-style:none}
.legend li{display:flex;gap:.5rem}
.symbol{flex:none;width:1.25rem;height:.75rem;margin-top:.3rem;fill:none}
figure .note{margin:.75rem 0 0}
.scroll{overflow-x:auto}
.scroll+.note{margin-top:.75rem}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
caption{padding-bottom:.5rem;text-align:left}
caption span{display:block;max-width:calc(100vw - 2rem)}
th,td{padding:.4rem 1.25rem .4rem 0;text-align:right;vertical-align:top;white-space:nowrap;border-bottom:1px solid var(--line)}
th{font-weight:600}
th:first-child,.tensors :is(th,td):nth-child(-n+3),:is(.families,.words) :is(th,td):last-child,.frozen :is(th,td):nth-child(n+3){text-align:left}
:is(.families,.frozen) td>div{padding-left:.75rem;text-indent:-.75rem}
.families thead th{white-space:normal;overflow-wrap:break-word}
:is(.families,.words) td:last-child,.frozen td:nth-child(n+3){min-width:13rem;max-width:24rem;white-space:normal}
td details{margin:0}
th:last-child,td:last-child{padding-right:0}
:is(.tensors,.families,.frozen,.tried) th[scope=row]{min-width:11rem;max-width:24rem;font-weight:400;white-space:normal}
.pinned :is(th,td):first-child{position:sticky;left:0;z-index:1;background:var(--paper)}
@media (max-width:30rem){.pinned :is(thead th,th[scope=row]):first-child{min-width:7rem;max-width:9rem;white-space:normal;padding-right:.75rem;border-right:1px solid var(--line)}}
details{margin-top:1rem}
summary{cursor:pointer;color:var(--muted)}
details .scroll{margin-top:.75rem}
.provenance code{color:var(--muted)}
footer{margin-top:4rem}
@media print{
.decision,.badge{-webkit-print-color-adjust:exact;print-color-adjust:exact}
@page{margin:15mm}
:root{font-size:81.25%}
body{padding:0;max-width:none}
section{margin-top:1.75rem}
h2,h3,figcaption,caption{break-after:avoid}
figure,li,tr,.decision,.figures div,.asked div,.provenance div{break-inside:avoid}
.scroll{overflow:visible}
table{font-size:.8125rem}
th,td{padding-right:.75rem}
:is(.tensors,.families,.frozen) th[scope=row]{min-width:0}
.pair{grid-template-columns:1fr 1fr;gap:1.5rem}
details::details-content{content-visibility:visible}
}
`);
