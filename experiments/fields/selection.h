// How an ensemble combines the predictions of its members.
#pragma once

#include <boost/describe.hpp>

namespace orchestrate {

// How an ensemble makes one prediction of its members'.
enum class EnsembleRule {
    mean,  // the class with the highest mean probability; of equal ones the first
    vote,  // the class with the most votes; of equal ones that whose votes have the highest sum of probabilities, then
    // the first
};
BOOST_DESCRIBE_ENUM(EnsembleRule, mean, vote)

}  // namespace orchestrate
