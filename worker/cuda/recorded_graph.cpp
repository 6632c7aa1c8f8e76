#include "worker/cuda/recorded_graph.h"

#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>

namespace orchestrate {

namespace {

class RecordedGraph final : public CapturedGraph {
  public:
    explicit RecordedGraph(c10::MempoolId_t pool) : pool_(pool) {}

    void record(const std::function<void()>& work) override {
        // Recording is undisturbed by what other threads do with CUDA (NCCL's watchdog), and wants an idle stream.
        at::cuda::getCurrentCUDAStream().synchronize();
        graph_.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
        try {
            work();
        } catch (...) {
            try {
                graph_.capture_end();
            } catch (const c10::Error&) {
                // It has failed already; this only ends it.
            }
            throw;
        }
        graph_.capture_end();
    }

    void replay() override { graph_.replay(); }

  private:
    c10::MempoolId_t pool_;
    at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<CapturedGraph> make_recorded_graph(c10::MempoolId_t pool) {
    return std::make_unique<RecordedGraph>(pool);
}

}  // namespace orchestrate
