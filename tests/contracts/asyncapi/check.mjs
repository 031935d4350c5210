// Parses AsyncAPI documents with AsyncAPI's own parser: `node check.mjs FILE...`; exit 1 where one has an error or warning.
import { readFileSync } from 'node:fs';
import { argv, exit } from 'node:process';
import { Parser } from '@asyncapi/parser';

const WORDS = ['error', 'warning', 'information', 'hint'];
const WRONG = 1; // errors and warnings
const files = argv.slice(2);
let wrong = files.length === 0;
if (wrong) console.error('name at least one document');
for (const file of files) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'), { source: file });
  for (const { severity, path, message } of diagnostics) {
    console.error(`${file}: ${WORDS[severity]} at ${path.join('.') || 'the top'}: ${message}`);
  }
  if (!document || diagnostics.some(({ severity }) => severity <= WRONG)) wrong = true;
  else console.log(`${file}: AsyncAPI ${document.version()}, ${document.allOperations().length} operations, valid`);
}
exit(wrong ? 1 : 0);
