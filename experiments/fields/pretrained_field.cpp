#include "experiments/fields/pretrained_field.h"

#include <filesystem>

#include "experiments/fields/field_kinds.h"

namespace orchestrate {

namespace {

constexpr const char* kField = "model.pretrained";

}  // namespace

Field pretrained_field() {
    Field field = field_kinds::named_field(kField, "path or \"none\"", "",
                                           "Folder of a Hugging Face model (RoBERTa or BERT; `config.json`, "
                                           "`model.safetensors` or shards) that training "
                                           "starts from. It settles the sizes, and, unless set here, "
                                           "dropout, head and `tokenizer.vocabulary`. Ablations "
                                           "may set it to `\"none\"`: the same model from scratch.");
    field.schema = {{"type", "string"}, {"minLength", 1}};
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* found = value.as_text();
        if (!found || found->empty()) {
            report_unfit(value, kField, "a path, or \"none\"", diagnostics);
            return;
        }
        if (*found == "none") {
            settings.job.model.pretrained_sha256.clear();
            return;
        }
        const auto base = value.where.source ? value.where.source->folder : std::filesystem::current_path();
        const std::string folder = (base / *found).lexically_normal().string();
        if (!settings.pretrained_is_resolved) {
            settings.paths.pretrained = folder;
        } else if (folder == settings.paths.pretrained) {
            settings.job.model.pretrained_sha256 = settings.pretrained_sha256;
        } else {
            report_unfit(value, kField,
                         settings.paths.pretrained.empty() ? "\"none\": [model] names no folder"
                                                           : "\"none\", or the folder that [model] names",
                         diagnostics);
        }
    };
    field.show = [](const Settings& settings) {
        return settings.job.model.pretrained_sha256.empty() ? std::string("none") : settings.paths.pretrained;
    };
    field.phrase = [](const Settings& settings) {
        return std::string(settings.job.model.pretrained_sha256.empty() ? "from scratch" : "pretrained");
    };
    return field_kinds::varying(field_kinds::finished(std::move(field)));
}

}  // namespace orchestrate
