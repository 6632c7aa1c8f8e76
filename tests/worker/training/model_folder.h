// A small Hugging Face model folder with weights made from a seed, which tests change before they read it.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "common/base/json.h"
#include "worker/training/kernels/keyed_random.h"
#include "worker/training/model/whole_model.h"
#include "worker/training/support/safetensors.h"

namespace orchestrate::test {

inline SafeTensor float_tensor(const std::vector<std::int64_t>& shape, std::uint64_t seed) {
    SafeTensor tensor{"F32", shape, {}};
    std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(static_cast<double>(mix(seed, i) % 2001) - 1000.0) * 2e-4F;
    }
    const auto bytes = std::as_bytes(std::span(values));
    tensor.bytes.assign(bytes.begin(), bytes.end());
    return tensor;
}

inline void write_tensors(const std::filesystem::path& path,
                          const std::map<std::string, SafeTensor>& tensors) {
    std::vector<TensorPiece> pieces;
    for (const auto& [name, tensor] : tensors) {
        pieces.push_back({name, tensor.type, tensor.shape, tensor.bytes});
    }
    const auto head = safetensors_head(pieces);
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(head.data()), static_cast<std::streamsize>(head.size()));
    for (const auto& piece : pieces) {
        file.write(reinterpret_cast<const char*>(piece.bytes.data()),
                   static_cast<std::streamsize>(piece.bytes.size()));
    }
}

class ModelFolder {
  public:
    // `changes` replace keys of its config.json.
    ModelFolder(const std::filesystem::path& folder, const std::string& model_type, std::int64_t classes,
                const Json& changes = Json::object())
        : path(folder) {
        std::filesystem::remove_all(path);
        std::filesystem::create_directories(path);
        config = {{"model_type", model_type},
                  {"hidden_size", 32},
                  {"num_hidden_layers", 2},
                  {"num_attention_heads", 2},
                  {"intermediate_size", 48},
                  {"max_position_embeddings", 40},
                  {"vocab_size", 60},
                  {"type_vocab_size", model_type == "bert" ? 2 : 1},
                  {"pad_token_id", 1},
                  {"hidden_act", "gelu"},
                  {"layer_norm_eps", 1e-5},
                  {"architectures", {"Some"}},
                  {"transformers_version", "5.17.0"}};
        config.update(changes);
        write_config();
        std::uint64_t seed = 0;
        for (const auto& tensor : whole_model_tensors(read_pretrained_config(path), classes)) {
            tensors.emplace(tensor.name, float_tensor(tensor.shape, ++seed));
        }
        write();
    }
    ~ModelFolder() { std::filesystem::remove_all(path); }
    ModelFolder(const ModelFolder&) = delete;
    ModelFolder& operator=(const ModelFolder&) = delete;

    void write_config() const { std::ofstream(path / "config.json") << config.dump(1); }
    void write() const {
        write_config();
        write_tensors(path / "model.safetensors", tensors);
    }

    // Gives a tensor another name.
    void rename(const std::string& from, const std::string& to) {
        auto node = tensors.extract(from);
        node.key() = to;
        tensors.insert(std::move(node));
    }

    std::filesystem::path path;
    Json config;
    std::map<std::string, SafeTensor> tensors;
};

}  // namespace orchestrate::test
