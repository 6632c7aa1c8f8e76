// Exit codes of a worker that cannot go on because of its ranks. Whoever started it sees them through mpirun or srun,
// also if rank 0 is the one that cannot say so.
#pragma once

namespace orchestrate {

inline constexpr int kExitOutOfStep = 70;  // a rank failed alone, or did not come in time
inline constexpr int kExitRankLost = 71;   // a rank gives no sign of life

}  // namespace orchestrate
