// The door of the training shared object: keeps prepared data and pretrained weights in memory between jobs, and turns what goes
// wrong into the cause of an attempt's end.
#include <exception>
#include <list>
#include <memory>
#include <optional>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "common/base/error.h"
#include "worker/data/prepared_data.h"
#include "worker/training/loop/trainer.h"
#include "worker/training/model/pretrained_weights.h"
#include "worker/training/runtime/all_ranks.h"
#include "worker/training/runtime/device.h"
#include "worker/training/runtime/out_of_memory.h"
#include "worker/training/support/step_trace.h"
#include "worker/training_api.h"

namespace orchestrate {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPrepareDeadline{1800000};
constexpr std::size_t kKeptDataSets = 8;

// The most recently used data sets, by the key that says what they depend on.
class PreparedDataCache {
  public:
    std::shared_ptr<const PreparedData> get(const JobConfig& config, const JobPaths& paths, int threads,
                                            const std::function<void()>& on_advance) {
        // Without the hash of a file, other content would have the same key.
        const bool has_hashes = !config.data.sha256.empty() &&
                                (paths.vocabulary.empty() || !config.tokenizer.vocabulary_sha256.empty());
        if (!has_hashes) {
            return prepare(config, paths, threads, on_advance);
        }
        const std::string key = prepared_data_key(config.data, config.tokenizer);
        for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
            if (entry->key == key) {
                entries_.splice(entries_.begin(), entries_, entry);
                return entries_.front().data;
            }
        }
        auto data = prepare(config, paths, threads, on_advance);
        entries_.push_front({key, data});
        if (entries_.size() > kKeptDataSets) {
            entries_.pop_back();
        }
        return data;
    }

  private:
    static std::shared_ptr<const PreparedData> prepare(const JobConfig& config, const JobPaths& paths,
                                                       int threads, const std::function<void()>& on_advance) {
        return std::make_shared<const PreparedData>(
            prepare_data(config.data, config.tokenizer, paths, threads, on_advance));
    }

    struct Entry {
        std::string key;
        std::shared_ptr<const PreparedData> data;
    };
    std::list<Entry> entries_;
};

// The most recently used pretrained weights, by the hash of their files.
class PretrainedCache {
  public:
    // Null if the job starts from scratch.
    std::shared_ptr<const PretrainedWeights> get(const JobConfig& config, const JobPaths& paths) {
        const std::string& sha256 = config.model.pretrained_sha256;
        if (sha256.empty()) {
            return nullptr;
        }
        if (weights_ == nullptr || sha256_ != sha256) {
            if (paths.pretrained.empty()) {
                throw UserError("the job starts from the weights with the SHA-256 " + sha256 +
                                ", but no folder is given that holds them (model.pretrained)");
            }
            weights_.reset();  // two large models need not fit into memory
            weights_ = load_pretrained_weights(paths.pretrained, sha256);
            sha256_ = sha256;
        }
        return weights_;
    }

  private:
    std::string sha256_;
    std::shared_ptr<const PretrainedWeights> weights_;
};

std::string loader_error() {
    const char* const text = dlerror();
    return text != nullptr ? text : "unknown error";
}

TrainingDevice cuda_device(const std::string& library_folder) {
    // Opening LibTorch's CUDA library before the first CUDA question registers CUDA with a program that is
    // linked to its CPU part alone.
    if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
        throw UserError("CUDA was asked for, but LibTorch's CUDA part cannot be opened: " + loader_error());
    }
    const std::string path = library_folder + "/liborchestrate_cuda.so";
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
        throw UserError("CUDA was asked for, but the CUDA part of this worker cannot be opened: " +
                        loader_error());
    }
    const auto open = reinterpret_cast<OpenCudaDevice>(dlsym(library, kOpenCudaDeviceSymbol));
    if (open == nullptr) {
        throw UserError(path + " is no CUDA part of this version: " + loader_error());
    }
    TrainingDevice device;
    open(device);
    return device;
}

class Engine final : public TrainingEngine {
  public:
    explicit Engine(TrainingDevice device) : device_(std::move(device)) {}

    std::string device_class() const override { return device_.device_class; }

    AttemptOutcome run(const AttemptRequest& request, Collective& collective, AttemptObserver& observer,
                       const std::atomic<bool>& stop) override {
        try {
            return run_attempt(request, collective, observer, stop);
        } catch (const CollectiveError&) {
            throw;
        } catch (const std::exception& error) {
            if (collective.size() > 1 && dynamic_cast<const FailedOnAllRanks*>(&error) == nullptr) {
                throw CollectiveError("rank " + std::to_string(collective.rank()) +
                                      " failed alone: " + error.what());
            }
            return outcome_of(std::current_exception(), request);
        }
    }

    void write_texts(const JobConfig& config, const JobPaths& paths,
                     const std::filesystem::path& destination) override {
        write_texts_csv(config.data, paths, destination);
    }

  private:
    AttemptOutcome outcome_of(const std::exception_ptr& failure, const AttemptRequest& request) {
        AttemptOutcome outcome;
        try {
            const auto shortage = memory_shortage_in([&] { std::rethrow_exception(failure); });
            outcome.cause = Cause::out_of_memory;
            outcome.message = out_of_memory_message(request, shortage.value_or(""));
            device_.release_memory();
        } catch (const UserError& error) {
            outcome.cause = Cause::user_error;
            outcome.message = error.what();
        } catch (const c10::Error& error) {
            outcome.cause = Cause::worker_crashed;
            outcome.message = std::string("LibTorch: ") + error.what_without_backtrace();
        } catch (const std::exception& error) {
            outcome.cause = Cause::worker_crashed;
            outcome.message = error.what();
        }
        return outcome;
    }

    AttemptOutcome run_attempt(const AttemptRequest& request, Collective& collective,
                               AttemptObserver& observer, const std::atomic<bool>& stop) {
        const auto start = Clock::now();
        at::set_num_threads(std::max(1, request.threads));
        device_.reset_peak_memory();
        if (collective.rank() == 0) {
            TrainingProgress progress;
            progress.phase = "preparing";
            progress.epochs = request.config.train.epochs;
            observer.on_progress(progress);
        }
        const Prepared prepared = prepare_on_all_ranks(request, collective, [&] {
            if (collective.rank() == 0) {
                observer.on_advance();
            }
        });
        TrainerInputs inputs{request.config, *prepared.data, device_, collective, observer, stop};
        inputs.pretrained = prepared.pretrained.get();
        if (request.resources.save_model) {
            inputs.models_folder = request.models_folder;
        }
        inputs.micro_batch = request.resources.micro_batch_size;
        inputs.pause_after_epoch = request.resources.pause_after_epoch;
        inputs.checkpoints = request.checkpoints;
        inputs.files = files_.get();
        std::optional<StepTrace> trace;
        if (!request.trace_file.empty()) {
            inputs.trace = &trace.emplace(collective.rank());
        }
        inputs.retry_out_of_memory = request.resources.retry_out_of_memory;
        AttemptOutcome outcome = train(inputs);
        if (trace) {
            trace->write(trace_file_of(request.trace_file, collective.rank()));
        }
        outcome.result.total_seconds = std::chrono::duration<double>(Clock::now() - start).count();
        outcome.result.peak_memory_bytes = device_.peak_memory_bytes();
        return outcome;
    }

    struct Prepared {
        std::shared_ptr<const PreparedData> data;
        std::shared_ptr<const PretrainedWeights> pretrained;
    };

    // A file may be missing on one host only: then no rank goes on, and rank 0 says which.
    Prepared prepare_on_all_ranks(const AttemptRequest& request, Collective& collective,
                                  const std::function<void()>& on_advance) {
        Prepared prepared;
        run_on_all_ranks(collective, kPrepareDeadline, [&] {
            prepared.data = cache_.get(request.config, request.paths, request.threads, on_advance);
            prepared.pretrained = pretrained_cache_.get(request.config, request.paths);
        });
        return prepared;
    }

    static std::string out_of_memory_message(const AttemptRequest& request, const std::string& details) {
        const std::string remedy = request.resources.retry_out_of_memory
                                       ? "lower train.batch_size or tokenizer.max_length"
                                       : "set study.retry_out_of_memory, or lower study.micro_batch_size, "
                                         "train.batch_size or tokenizer.max_length";
        return "out of memory with train.batch_size = " + std::to_string(request.config.train.batch_size) +
               " on " + std::to_string(request.resources.ranks) +
               " rank(s), study.micro_batch_size = " + std::to_string(request.resources.micro_batch_size) +
               " and texts of at most " + std::to_string(request.config.tokenizer.max_length) + " tokens; " +
               remedy + ". " + details;
    }

    TrainingDevice device_;
    PreparedDataCache cache_;
    PretrainedCache pretrained_cache_;
    std::unique_ptr<DurableFiles> files_ = make_system_files();
};

// Tensors of a training step come and go: keep their memory instead of giving it back to the system each
// time.
void keep_freed_memory() {
#if defined(__GLIBC__)
    constexpr int kBytes = 1 << 30;
    mallopt(M_MMAP_THRESHOLD, kBytes);
    mallopt(M_TRIM_THRESHOLD, kBytes);
#endif
}

}  // namespace

}  // namespace orchestrate

extern "C" orchestrate::TrainingEngine* orchestrate_open_training_engine(orchestrate::DeviceKind device,
                                                                         const char* library_folder) {
    static const bool process_is_set_up = [] {
        orchestrate::keep_freed_memory();
        at::set_num_interop_threads(1);  // LibTorch allows it once
        return true;
    }();
    static_cast<void>(process_is_set_up);
    return new orchestrate::Engine(device == orchestrate::DeviceKind::cpu
                                       ? orchestrate::cpu_device()
                                       : orchestrate::cuda_device(library_folder));
}
