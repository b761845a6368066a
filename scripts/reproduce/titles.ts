const TITLES: Readonly<Record<string, string>> = {
  'fc2-mnist': 'FC2, MNIST',
  'fc5-fashion': 'FC5, Fashion-MNIST',
  'fc12-fashion': 'FC12, Fashion-MNIST',
  'cnn-fashion': 'CNN, Fashion-MNIST',
  'cnn-fashion-folded': 'CNN folded, Fashion-MNIST',
  'kan-mnist': 'KAN, MNIST',
  'llama-tiny': 'llama-tiny, text',
  'vgg-fashion': 'VGG-like, Fashion-MNIST',
  'resnet-fashion': 'residual, Fashion-MNIST',
  'resnet-fashion-folded': 'residual folded, Fashion-MNIST',
  'gpt-text': 'GPT-2-like, text',
};

/** What the document calls a network. */
export const titleOf = ({ name }: { readonly name: string }): string => TITLES[name] ?? name;
