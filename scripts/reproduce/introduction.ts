import type { Measured } from './network.ts';
import { count } from './table.ts';

/** What is compared with what, and what differs from the paper. */
export function formatIntroduction({ environment, evaluation }: Measured): string {
  const { version, onnxruntime, execution_provider } = environment;
  return `Written by \`npm run reproduce\` (version ${version}, onnxruntime ${onnxruntime}, ${execution_provider}). What this machine can repeat of the experiments of Wang, Guralnik, Akbari, Dixon,
"Effective Model Pruning" (ICML 2026, [arXiv 2509.25606](https://arxiv.org/abs/2509.25606)), beside two other sources: the paper's own figures, and an oracle, Python code
on PyTorch that shares nothing with this project and computed its answers once. \`-\`: there is no such figure. Nothing is trained after pruning, and repaired only where that is said.

## What differs from the paper, and why

- **The networks are ours**, trained for this project, since the paper's checkpoints are not published. FC2 (784-100-10) and FC5 (784-1000-600-300-100-10) have the paper's shapes. There is one of each:
  FC2 on MNIST and FC5 on Fashion-MNIST; the paper has both on both. FC2 has seen 8,000 digits, the paper's 60,000. Measured on ${count(evaluation.n_samples)} samples of each test set, the paper's 10,000.
- **The paper's figures of FC2 and FC5** are in its Figure 3 and Table 10, of whose text we had no copy: only the sparsity of FC5 is known to us, not on which data.
- **No LLaMA weights**: they are gated. The protocol is repeated on \`llama-tiny\`: the same blocks and tensor names, 4 of them, width 128, MLP 344, trained on the King James Bible
  with bytes for tokens. Its perplexity is per byte and says nothing beside that of a 7B model; what pruning does to it does. Wanda is calibrated on 64 sequences of 128 bytes, the paper's on 128 of 512 tokens.
- **The paper's LLaMA figures** are those of the run logs in the [authors' repository](https://github.com/noMushroomw/Effective-model-pruning/tree/main/slurm/logs); their means are those of the paper's Table 3.
- **Exactly \`floor(beta * N_eff)\` weights are kept.** The authors' code keeps one more, and all that tie with it.
- **VGG, residual networks, GPT-2**: ours are far smaller, on Fashion-MNIST and on ASCII text, and their structures are removed without training afterwards.
- **Not repeated**: CIFAR, TinyImageNet, GPT-2 itself and images, for want of the networks and data; the zero-shot tasks.
`;
}
