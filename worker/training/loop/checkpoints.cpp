#include "worker/training/loop/checkpoints.h"

#include <algorithm>
#include <cstring>
#include <system_error>

#include <ATen/ATen.h>

#include "common/base/error.h"
#include "common/job/older_metrics.h"
#include "worker/training/support/checkpoint_file.h"

namespace orchestrate {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kKeptValues = "kept.values";
// Copying takes at most this share of the time, however large the model is.
constexpr double kMaximumShare = 0.05;
// Of one message between ranks.
constexpr std::int64_t kPieceBytes = 16 << 20;
// For rank 0 to read a large checkpoint from a slow disk.
constexpr std::chrono::minutes kReadDeadline{30};

std::string type_name(const at::Tensor& tensor) {
    switch (tensor.scalar_type()) {
        case at::kFloat:
            return "F32";
        case at::kDouble:
            return "F64";
        case at::kBFloat16:
            return "BF16";
        case at::kLong:
            return "I64";
        default:
            throw std::logic_error(std::string("no checkpoint can hold tensors of type ") +
                                   c10::toString(tensor.scalar_type()));
    }
}

std::string place_text(int ranks, const std::string& device_class) {
    return std::to_string(ranks) + " rank(s) of " + device_class;
}

at::Tensor on_host(const at::Tensor& tensor) {
    return tensor.detach().to(at::kCPU).contiguous();
}

std::span<const std::byte> bytes_of(const at::Tensor& host) {
    return {static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()};
}

void copy_into(const at::Tensor& tensor, std::span<const std::byte> bytes) {
    const at::NoGradGuard no_gradients;
    const at::Tensor host = at::empty(tensor.sizes(), tensor.options().device(at::kCPU).requires_grad(false));
    std::memcpy(host.mutable_data_ptr(), bytes.data(), host.nbytes());
    tensor.copy_(host);
}

// What rank 0 has, in pieces that every MPI library can send.
void broadcast(Collective& collective, const at::Tensor& tensor) {
    const at::NoGradGuard no_gradients;
    const at::Tensor host = on_host(tensor);
    auto* const begin = static_cast<std::byte*>(host.mutable_data_ptr());
    const auto size = static_cast<std::int64_t>(host.nbytes());
    for (std::int64_t at = 0; at < size; at += kPieceBytes) {
        std::vector<std::byte> piece;
        if (collective.rank() == 0) {
            piece.assign(begin + at, begin + std::min(size, at + kPieceBytes));
        }
        collective.broadcast(piece, kReadDeadline);
        std::memcpy(begin + at, piece.data(), piece.size());
    }
    if (collective.rank() != 0) {
        tensor.copy_(host);
    }
}

}  // namespace

Checkpoints::Checkpoints(const TrainerInputs& inputs, std::int64_t steps, std::vector<NamedTensor> tensors)
    : in_(inputs),
      job_identity_(orchestrate::job_identity(inputs.config)),
      steps_(steps),
      tensors_(std::move(tensors)),
      due_at_(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(inputs.checkpoints.interval_seconds))) {}

std::optional<TrainingState> Checkpoints::resume(const at::Tensor& values_like, at::Tensor& kept_values) {
    if (in_.files == nullptr || in_.checkpoints.resume_from.empty()) {
        return std::nullopt;
    }
    std::optional<TrainingState> state;
    std::optional<StoredCheckpoint> used;
    if (in_.collective.rank() == 0) {
        used = use_best_checkpoint(
            *in_.files, in_.checkpoints.resume_from, job_identity_,
            [this](const std::string& line) { in_.observer.on_log(line); },
            [&](const CheckpointContent& content) { state = take(content, values_like, kept_values); });
        if (!used) {
            in_.observer.on_log("no checkpoint can be used: begins at the first step");
        }
    }
    if (in_.collective.size() > 1) {
        send_to_all_ranks(state, values_like, kept_values);
    }
    if (!state) {
        return std::nullopt;
    }
    begun_step_ = state->step;
    if (used) {
        if (state->device_class != in_.device.device_class || state->ranks != in_.collective.size()) {
            in_.observer.on_log(
                "the checkpoint is of " + place_text(state->ranks, state->device_class) +
                ", this worker has " + place_text(in_.collective.size(), in_.device.device_class) +
                ": numbers may differ in their last digits from those of an uninterrupted run");
        }
        in_.observer.on_resume({used->attempt, state->step, steps_,
                                static_cast<std::int64_t>(state->epochs.size()), used->file, used->sha256,
                                used->bytes});
    }
    return state;
}

TrainingState Checkpoints::take(const CheckpointContent& content, const at::Tensor& values_like,
                                at::Tensor& kept_values) {
    TrainingState state;
    try {
        Json stored = content.state();
        upgrade_metrics(stored);
        stored.get_to(state);
    } catch (const std::exception& error) {
        throw UserError("checkpoint '" + content.path().string() +
                        "' has a state that cannot be read: " + error.what());
    }
    std::vector<NamedTensor> wanted = tensors_;
    if (state.has_kept_values) {
        kept_values = at::empty_like(values_like);
        wanted.push_back({kKeptValues, kept_values});
    }
    std::vector<std::span<const std::byte>> found;
    for (const auto& [name, tensor] : wanted) {
        found.push_back(content.values(name, type_name(tensor), tensor.sizes().vec()));
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        copy_into(wanted[i].tensor, found[i]);
    }
    return state;
}

void Checkpoints::send_to_all_ranks(std::optional<TrainingState>& state, const at::Tensor& values_like,
                                    at::Tensor& kept_values) {
    std::vector<std::byte> message;
    if (in_.collective.rank() == 0) {
        const auto packed = Json::to_msgpack(Json(state));
        message.resize(packed.size());
        std::memcpy(message.data(), packed.data(), packed.size());
    }
    in_.collective.broadcast(message, kReadDeadline);
    const auto* const begin = reinterpret_cast<const std::uint8_t*>(message.data());
    Json::from_msgpack(begin, begin + message.size()).get_to(state);
    if (!state) {
        return;
    }
    for (const auto& [name, tensor] : tensors_) {
        broadcast(in_.collective, tensor);
    }
    if (state->has_kept_values) {
        if (in_.collective.rank() != 0) {
            kept_values = at::empty_like(values_like);
        }
        broadcast(in_.collective, kept_values);
    }
}

bool Checkpoints::writes() const {
    return in_.files != nullptr && !in_.checkpoints.folder.empty() && in_.collective.rank() == 0;
}

bool Checkpoints::due() {
    if (!writes()) {
        return false;
    }
    if (in_.checkpoints.interval_seconds == 0) {
        return true;
    }
    if (writing_.valid()) {
        if (writing_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
            return false;
        }
        finish_writing();
    }
    return Clock::now() >= due_at_;
}

void Checkpoints::take_snapshot(const at::Tensor& kept_values) {
    const at::NoGradGuard no_gradients;
    std::vector<NamedTensor> sources = tensors_;
    if (kept_values.defined()) {
        sources.push_back({kKeptValues, kept_values});
    }
    snapshot_.resize(sources.size());
    for (std::size_t i = 0; i < sources.size(); ++i) {
        const at::Tensor& source = sources[i].tensor;
        at::Tensor& copy = snapshot_[i].tensor;
        if (!copy.defined() || copy.sizes() != source.sizes() || copy.scalar_type() != source.scalar_type()) {
            copy = at::empty(source.sizes(), source.options().device(at::kCPU).requires_grad(false));
        }
        copy.copy_(source);
        snapshot_[i].name = sources[i].name;
    }
}

void Checkpoints::begin_write(TrainingState state, const at::Tensor& kept_values) {
    if (!writes() || state.step <= begun_step_) {
        return;
    }
    finish_writing();
    const auto start = Clock::now();
    state.has_kept_values = kept_values.defined();
    state.device_class = in_.device.device_class;
    state.ranks = in_.collective.size();
    take_snapshot(kept_values);
    std::vector<CheckpointTensor> contents;
    for (const auto& [name, tensor] : snapshot_) {
        contents.push_back({name, type_name(tensor), tensor.sizes().vec(), bytes_of(tensor)});
    }
    begun_step_ = state.step;
    writing_ = std::async(std::launch::async, [this, state = std::move(state), contents] {
        const auto writing_start = Clock::now();
        create_folders_durably(*in_.files, in_.checkpoints.folder);
        Written written;
        written.checkpoint =
            write_checkpoint(*in_.files, in_.checkpoints.folder, job_identity_, state.step, state, contents);
        written.checkpoint.attempt = in_.checkpoints.attempt;
        written.taken = Clock::now() - writing_start;
        return written;
    });
    const std::chrono::duration<double> copying = Clock::now() - start;
    const double pause = std::max(in_.checkpoints.interval_seconds, copying.count() / kMaximumShare);
    due_at_ =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(pause));
}

void Checkpoints::finish_writing() {
    if (!writing_.valid()) {
        return;
    }
    try {
        const Written written = writing_.get();
        // A slow disk is left in peace for as long as it was written to.
        due_at_ =
            std::max(due_at_, Clock::now() + std::chrono::duration_cast<Clock::duration>(written.taken));
        in_.observer.on_checkpoint(written.checkpoint);
    } catch (const std::system_error& error) {
        in_.observer.on_log("no checkpoint at step " + std::to_string(begun_step_) + ": " + error.what() +
                            "; training goes on");
        begun_step_ = 0;
    }
}

void Checkpoints::write(const TrainingState& state, const at::Tensor& kept_values) {
    finish_writing();
    begin_write(state, kept_values);
    finish_writing();
}

}  // namespace orchestrate
