// Holds ARM traffic against Microsoft's specs with oav's live validator.
//
//   node validate.js SPECIFICATION < pairs.jsonl > verdicts.jsonl
//
// A line in is {liveRequest, liveResponse}; the line out for it is {operation, findings}: the operationId that the
// specs have for the call, null when they have none, and what is wrong, as {side, code, path, message}.
"use strict";

const readline = require("node:readline");
const { LiveValidator } = require("oav/dist/lib/liveValidation/liveValidator");

// What oav says when no operation of the specs matches a call.
const UNKNOWN = /^OPERATION_NOT_FOUND/;

function findings(side, result) {
  const errors = result.runtimeException ? [result.runtimeException] : result.errors;
  return errors.flatMap(({ code, message, pathsInPayload }) => {
    const paths = pathsInPayload && pathsInPayload.length ? pathsInPayload : [""];
    return paths.map((path) => ({ side, code, path, message }));
  });
}

async function verdict(validator, pair) {
  const { info, error } = validator.getOperationInfo(pair.liveRequest);
  if (error && UNKNOWN.test(error.code)) {
    return { operation: null, findings: [] };
  }
  const result = await validator.validateLiveRequestResponse(pair);
  const both = [
    ...findings("request", result.requestValidationResult),
    ...findings("response", result.responseValidationResult),
  ];
  return { operation: info.operationId, findings: both };
}

async function main(directory) {
  const validator = new LiveValidator(
    {
      checkUnderFileRoot: false,
      loadValidatorInBackground: false,
      directory,
      swaggerPathsPattern: ["**/*.json"],
      excludedSwaggerPathsPattern: ["**/examples/**/*", "**/common-types/**/*"],
      git: { shouldClone: false },
    },
    () => {},
  );
  await validator.initialize();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await verdict(validator, JSON.parse(line))) + "\n");
  }
}

main(process.argv[2]);
