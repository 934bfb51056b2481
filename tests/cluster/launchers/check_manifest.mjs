// Checks a manifest of a Service and an Indexed Job: check_manifest.mjs FILE
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Job } from "kubernetes-models/batch/v1/Job";
import { Service } from "kubernetes-models/v1/Service";
import { parseAllDocuments } from "yaml";

const documents = parseAllDocuments(readFileSync(process.argv[2], "utf8")).map((one) => one.toJS());
const of = (kind) => {
  const found = documents.filter((one) => one.kind === kind);
  assert.equal(found.length, 1, kind);
  return found[0];
};
const service = of("Service"), job = of("Job");
new Service(service).validate();
new Job(job).validate();

const pod = job.spec.template.spec, rank = pod.containers[0];
const variable = (name) => rank.env.find((one) => one.name === name).value;
assert.equal(service.spec.clusterIP, "None");
assert.equal(service.spec.selector["batch.kubernetes.io/job-name"], job.metadata.name);
assert.equal(pod.subdomain, service.metadata.name);
assert.equal(job.spec.completionMode, "Indexed");
assert.equal(job.spec.parallelism, job.spec.completions);
assert.equal(variable("WORLD_SIZE"), String(job.spec.completions));
assert.equal(variable("MASTER_ADDR"), `${job.metadata.name}-0.${service.metadata.name}`);
assert.equal(pod.enableServiceLinks, false);
assert.equal(rank.args[0], "node");
console.log("the manifest is in order");
