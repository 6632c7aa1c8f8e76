// By what the best variants of a stage are chosen, and how an ensemble combines them.
#pragma once

#include <boost/describe.hpp>

namespace orchestrate {

// How a stage picks the best variant of an earlier one: highest mean over seeds of this validation metric;
// ties are broken by order.
enum class SelectionMetric { accuracy, macro_f1, macro_precision, macro_recall };
BOOST_DESCRIBE_ENUM(SelectionMetric, accuracy, macro_f1, macro_precision, macro_recall)

// The part of the data that a choice looks at.
enum class SelectionPart { validation, test };
BOOST_DESCRIBE_ENUM(SelectionPart, validation, test)

// How an ensemble makes one prediction of its members'.
enum class EnsembleRule {
    mean,  // the class with the highest mean probability; of equal ones the first
    vote,  // the class with the most votes; of equal ones that whose votes have the highest sum of probabilities, then
    // the first
};
BOOST_DESCRIBE_ENUM(EnsembleRule, mean, vote)

}  // namespace orchestrate
