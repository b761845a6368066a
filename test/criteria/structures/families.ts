import type { Family, StructureKind } from '../../../src/structure/families.ts';

/** A family of `size` structures, the i-th of them the i-th row of the weight that the family is named by. */
export function familyOf(name: string, size: number, kind: StructureKind = 'channel', firstRoot = 0): Family {
  const structures = Array.from({ length: size }, (_, i) => {
    const producers = [{ tensor: name, axis: 0, positions: [i] }];
    return { root: firstRoot + i, sites: producers, producers, consumers: [] };
  });
  return { name, kind, structures, isUnread: false };
}
