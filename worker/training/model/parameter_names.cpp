#include "worker/training/model/parameter_names.h"

namespace orchestrate {

ParameterNames ParameterNames::of(ModelType type) {
    if (type == ModelType::roberta) {
        return {"roberta.", "classifier.dense", "classifier.out_proj"};
    }
    return {"bert.", "bert.pooler.dense", "classifier"};
}

}  // namespace orchestrate
