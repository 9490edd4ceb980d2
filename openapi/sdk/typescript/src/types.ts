/** The resources of the API, under the names that it gives them. */

import type { components } from "./generated/schema.js";

type Schemas = components["schemas"];

export type Alias = Schemas["Alias"];
export type Batch = Schemas["Batch"];
export type BatchItem = Schemas["BatchItem"];
export type Model = Schemas["Model"];
export type Prediction = Schemas["Prediction"];
export type PredictionRequest = Schemas["PredictionRequest"];
export type PredictionResult = Schemas["PredictionResult"];
export type ProblemDetail = Schemas["ProblemDetail"];
export type TrainingJob = Schemas["TrainingJob"];
export type TrainingJobRequest = Schemas["TrainingJobRequest"];
export type TuningJob = Schemas["TuningJob"];

/** Everything that is accepted first and done later. */
export type Work = Prediction | Batch | TrainingJob | TuningJob;

/**
 * Something that happened to a training job. `type` is `queued`, `running`, `progress`, `epoch`, `checkpoint`, …, at
 * last `succeeded`, `failed` or `canceled`. `data` of `progress` has epoch, step, steps, fraction and loss; of `epoch`,
 * a row of the job's history.
 */
export interface TrainingEvent {
  id: string;
  type: string;
  data: Record<string, unknown>;
}
