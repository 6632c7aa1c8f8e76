// What a job's configuration must be for this engine to train it on its data.
#pragma once

#include "common/data/pretrained_config.h"
#include "common/job/job_config.h"
#include "worker/data/prepared_data.h"
#include "worker/training/runtime/device.h"

namespace orchestrate {

// Throws UserError that names the field, what was found and what is expected.
void check_configuration(const JobConfig& config, const PreparedData& data);

// The same of the weights that it starts from.
void check_pretrained(const ModelConfig& model, const PreparedData& data, const PretrainedConfig& pretrained);

// Throws UserError if this device cannot compute as the job asks.
void check_device(const JobConfig& config, const TrainingDevice& device);

}  // namespace orchestrate
