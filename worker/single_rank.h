// The collective of a worker with one rank, which waits for nobody. Free of torch and MPI.
#pragma once

#include "worker/collective.h"

namespace orchestrate {

class SingleRank final : public Collective {
  public:
    int rank() const override { return 0; }
    int size() const override { return 1; }
    std::unique_ptr<PendingCollective> all_reduce_sum(std::span<float>) override {
        return std::make_unique<Done>();
    }
    std::unique_ptr<PendingCollective> all_reduce_sum(std::span<double>) override {
        return std::make_unique<Done>();
    }
    void broadcast(std::vector<std::byte>&, std::optional<std::chrono::milliseconds>) override {}
    std::string lost_peer() const override { return {}; }
    std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes,
                                               std::chrono::milliseconds) override {
        return {std::vector<std::byte>(bytes.begin(), bytes.end())};
    }

  private:
    class Done final : public PendingCollective {
      public:
        bool test() override { return true; }
        void wait(std::chrono::milliseconds) override {}
        std::optional<std::chrono::steady_clock::time_point> completed_at() const override {
            return begun_at_;
        }

      private:
        std::chrono::steady_clock::time_point begun_at_ = std::chrono::steady_clock::now();
    };
};

}  // namespace orchestrate
