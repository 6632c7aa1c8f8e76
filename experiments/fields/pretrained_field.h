// The field model.pretrained.
#pragma once

#include "experiments/fields/fields.h"

namespace orchestrate {

// "model.pretrained": a folder, or "none"; ablations choose between the study's folder and none.
Field pretrained_field();

}  // namespace orchestrate
