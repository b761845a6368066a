/** Names nobody would wish for. */
export const HOSTILE_NAMES = [
  '<script>document.title = "pwned"</script>',
  '"><img src=x onerror="document.title=1">',
  "it's </style></title></svg><b>bold</b> &lt;i&gt; &quot;",
  'emoji 🧠🧑‍🔬🔥 and 漢字の名前がとても長い場合の重み',
  'right-to-left \u202e txt.exe',
  'a line\nand\tanother\u0000\u0085\u2028',
  `deep.${'nested.module.'.repeat(21)}w`,
  'constructor',
  '__proto__',
  'x'.repeat(300),
];
