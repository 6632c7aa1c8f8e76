#include "common/protocol/strict_msgpack.h"

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace orchestrate {
namespace {

// Builds the value from what the library's parser calls out, and stops it where it goes too deep.
class Builder {
  public:
    Builder(Json& root, int max_levels) : root_(root), max_levels_(static_cast<std::size_t>(max_levels)) {}

    bool null() { return put(nullptr); }
    bool boolean(bool value) { return put(value); }
    bool number_integer(Json::number_integer_t value) { return put(value); }
    bool number_unsigned(Json::number_unsigned_t value) { return put(value); }
    bool number_float(Json::number_float_t value, const std::string&) { return put(value); }
    bool string(std::string& value) { return put(std::move(value)); }
    bool binary(Json::binary_t& value) { return put(std::move(value)); }
    bool start_object(std::size_t) { return open(Json::object()); }
    bool start_array(std::size_t) { return open(Json::array()); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }
    bool key(std::string& name) {
        key_ = std::move(name);
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const Json::exception&) {
        throw std::runtime_error("is no MessagePack (byte " + std::to_string(position) + ")");
    }

  private:
    Json* place(Json&& value) {
        if (open_.empty()) {
            root_ = std::move(value);
            return &root_;
        }
        Json& parent = *open_.back();
        if (parent.is_array()) {
            parent.push_back(std::move(value));
            return &parent.back();
        }
        return &(parent[key_] = std::move(value));
    }

    bool put(Json value) {
        place(std::move(value));
        return true;
    }

    bool open(Json value) {
        if (open_.size() == max_levels_) {
            throw std::runtime_error("is nested deeper than " + std::to_string(max_levels_) + " levels");
        }
        open_.push_back(place(std::move(value)));
        return true;
    }

    bool close() {
        open_.pop_back();
        return true;
    }

    Json& root_;
    std::size_t max_levels_;
    std::vector<Json*> open_;  // the last is what is filled; none moves while something within it is filled
    std::string key_;
};

}  // namespace

Json parse_strict_msgpack(std::span<const std::uint8_t> bytes, int max_levels) {
    Json root;
    Builder builder(root, max_levels);
    Json::sax_parse(bytes.begin(), bytes.end(), &builder, Json::input_format_t::msgpack);
    return root;
}

}  // namespace orchestrate
