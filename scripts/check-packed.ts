// Refuses to pack what is not the package: secrets, and files that neither git keeps nor the build makes.
import { fileURLToPath } from "node:url";
import { packedPaths, packingFaults, secretsWithin, trackedPaths } from "./packed.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const paths = packedPaths(root);
const faults = [...packingFaults(paths, trackedPaths(root)), ...secretsWithin(root, paths)];
for (const fault of faults) console.error(`packed: ${fault}`);
if (faults.length > 0) process.exit(1);
console.log(`packed: ${paths.length} files, all of them known, and none that looks like a secret.`);
