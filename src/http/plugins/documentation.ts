import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import packageJson from '../../../package.json' with { type: 'json' };
import { DOCUMENTATION_POLICY } from '../content-headers.ts';
import type { App } from '../services.ts';
import { SECURITY_SCHEME, securityOf } from './access.ts';
import { DOCUMENTATION_SCRIPT, DOCUMENTATION_STYLE } from './documentation-theme.ts';
import { completeDocument } from './operations.ts';

/** `openapi.yaml`'s content from the routes' own schemas, and a page to browse it that loads nothing from elsewhere. */
export async function registerDocumentation(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Effective Model Pruning',
        version: packageJson.version,
        description: DESCRIPTION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          [SECURITY_SCHEME]: {
            type: 'http',
            scheme: 'bearer',
            description:
              'A key that `emp keys add` has made, or a token (JWT) of the issuer that the service trusts, where it has keys or an issuer. Operations name the scope that it must have.',
          },
        },
      },
      tags: [
        { name: 'thresholds', description: 'Score vectors, answered at once; nothing is stored.' },
        { name: 'models', description: 'Uploaded ONNX and safetensors models.' },
        { name: 'datasets', description: 'Uploaded arrays that jobs use.' },
        { name: 'jobs', description: 'Pruning a model, in the background.' },
        { name: 'searches', description: 'Finding the recipe and the amount within a promise.' },
        { name: 'webhooks', description: 'Being told of the end of jobs and searches.' },
        { name: 'service', description: 'Is it up, is it ready, how is it doing.' },
      ],
    },
    transform: (input) => {
      const { schema, url } = jsonSchemaTransform(input);
      return { schema: { ...schema, security: securityOf(input.route.config?.scope) }, url };
    },
    transformObject: (document) => completeDocument(jsonSchemaTransformObject(document)),
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    theme: {
      title: 'Effective Model Pruning',
      css: [{ filename: 'theme.css', content: DOCUMENTATION_STYLE }],
      js: [{ filename: 'theme.js', content: DOCUMENTATION_SCRIPT }],
    },
    uiConfig: {
      docExpansion: 'list',
      defaultModelsExpandDepth: 1,
      tryItOutEnabled: true,
      validatorUrl: null,
    },
    staticCSP: DOCUMENTATION_POLICY,
  });
}

const DESCRIPTION = `How much of this model can be thrown away?

Effective Model Pruning (EMP, [arXiv 2509.25606](https://arxiv.org/abs/2509.25606)) keeps as many components as their importance
scores are worth: \`floor(beta * N_eff)\`, with \`N_eff = (sum |s|)^2 / sum s^2\`.

- \`POST /v1/thresholds\` answers for a score vector at once.
- \`POST /v1/datasets\` takes samples that a criterion scores by, or that dense and pruned model are measured on.
- \`POST /v1/jobs\` prunes a model: upload it (\`POST /v1/models\`), create the job, follow \`GET /v1/jobs/{id}/events\`, fetch the artifacts.

Every error is \`application/problem+json\` (RFC 9457) with a stable \`code\`. \`X-Request-Id\` is taken from the request or made, and given back.
Lists are \`{"data": [...], "next_cursor": ...}\`, newest first. Those of jobs are narrowed (\`?status=succeeded&met=true\`) and sorted by a figure of the summary (\`?sort=-accuracy\`).`;
