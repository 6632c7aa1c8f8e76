#include "common/csv.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <zlib.h>

#include "common/sha256.h"

namespace orchestrate {
namespace {

constexpr std::size_t kChunkBytes = 1U << 18;

}  // namespace

// The uncompressed bytes of a file, hashed on their way.
struct CsvReader::Source {
    std::unique_ptr<gzFile_s, decltype(&gzclose)> file;
    Sha256 hash;
};

CsvReader::CsvReader(const std::filesystem::path& path) : path_(path) {
    if (std::filesystem::is_directory(path)) {
        fail(0, "'" + path.string() + "' is a folder, expected a CSV or TSV file");
    }
    source_ = std::make_unique<Source>(Source{{gzopen(path.c_str(), "rb"), gzclose}, Sha256()});
    if (!source_->file) {
        fail(0, "cannot read '" + path.string() + "': " + std::strerror(errno));
    }
    gzbuffer(source_->file.get(), kChunkBytes);
    refill();
    skip_byte_order_mark();

    auto name = path.filename();
    if (name.extension() == ".gz") {
        name = name.stem();
    }
    const bool is_tsv = name.extension() == ".tsv" || name.extension() == ".tab";
    delimiter_ = is_tsv ? '\t' : sniff_delimiter();
    if (!read_record()) {
        fail(0, "'" + path.string() + "' is empty, expected a header line with the names of the columns");
    }
    header_.assign(fields_.begin(), fields_.end());
}

CsvReader::~CsvReader() = default;

void CsvReader::fail(std::int64_t line, const std::string& message) const {
    throw CsvError(line, message);
}

void CsvReader::skip_byte_order_mark() {
    const std::string_view content(buffer_.data(), size_);
    if (content.starts_with("\xFE\xFF") || content.starts_with("\xFF\xFE")) {
        fail(1,
             "'" + path_.string() + "' is UTF-16, expected UTF-8; convert it with: iconv -f UTF-16 -t UTF-8");
    }
    if (content.starts_with("\xEF\xBB\xBF")) {
        position_ = 3;
    }
}

char CsvReader::sniff_delimiter() const {
    constexpr std::array<char, 3> kCandidates = {',', ';', '\t'};
    std::array<int, 3> counts{};
    bool quoted = false;
    for (std::size_t i = position_; i < size_ && (quoted || buffer_[i] != '\n'); ++i) {
        if (buffer_[i] == '"') {
            quoted = !quoted;
        } else if (!quoted) {
            for (std::size_t k = 0; k < kCandidates.size(); ++k) {
                counts[k] += buffer_[i] == kCandidates[k] ? 1 : 0;
            }
        }
    }
    const auto most = std::max_element(counts.begin(), counts.end());
    return kCandidates[static_cast<std::size_t>(most - counts.begin())];
}

bool CsvReader::next() {
    while (read_record()) {
        const bool is_blank = fields_.size() == 1 && fields_[0].empty() && header_.size() > 1;
        if (is_blank) {
            continue;
        }
        const std::string where = "line " + std::to_string(record_line_) + " of '" + path_.string() + "'";
        if (text_after_quote_line_ > 0) {
            fail(record_line_,
                 "line " + std::to_string(text_after_quote_line_) + " of '" + path_.string() +
                     "' has text after a closing quote; a quote inside a quoted field is written twice");
        }
        if (fields_.size() != header_.size()) {
            fail(record_line_, where + " has " + std::to_string(fields_.size()) + " fields, expected " +
                                   std::to_string(header_.size()) +
                                   " as in the header; put fields that hold the delimiter in quotes");
        }
        return true;
    }
    fields_.clear();
    return false;
}

bool CsvReader::read_record() {
    for (;;) {
        if (position_ == size_ && source_ended_) {
            return false;
        }
        record_line_ = line_;
        if (position_ < size_ && scan_record(position_) == Scan::record) {
            position_ = record_end_;
            line_ += record_newlines_;
            unescape();
            return true;
        }
        refill();
    }
}

// Finds the fields of the record that begins at `begin`; asks for more bytes if it may go on after the
// buffer.
CsvReader::Scan CsvReader::scan_record(std::size_t begin) {
    spans_.clear();
    record_newlines_ = 0;
    text_after_quote_line_ = 0;
    std::size_t at = begin;
    for (;;) {
        Span span{at, at, false};
        std::size_t field_end = at;
        if (at < size_ && buffer_[at] == '"') {
            if (!scan_quoted(at, span)) {
                return Scan::end_of_buffer;
            }
            const std::size_t after_quote = at;
            while (at < size_ && buffer_[at] != delimiter_ && buffer_[at] != '\n') {
                ++at;
            }
            field_end = at;
            const bool only_return =
                at < size_ && buffer_[at] == '\n' && at == after_quote + 1 && buffer_[after_quote] == '\r';
            if (field_end > after_quote && !only_return) {
                text_after_quote_line_ = record_line_ + record_newlines_;
            }
        } else {
            while (at < size_ && buffer_[at] != delimiter_ && buffer_[at] != '\n') {
                ++at;
            }
            field_end = at;
            const bool ends_line = at == size_ || buffer_[at] == '\n';
            span.end = ends_line && field_end > span.begin && buffer_[field_end - 1] == '\r' ? field_end - 1
                                                                                             : field_end;
        }
        if (at == size_ && !source_ended_) {
            return Scan::end_of_buffer;
        }
        spans_.push_back(span);
        if (at == size_ || buffer_[at] == '\n') {
            record_newlines_ += at == size_ ? 0 : 1;
            record_end_ = std::min(at + 1, size_);
            return Scan::record;
        }
        ++at;
    }
}

// `at` stands on the opening quote and is moved behind the closing one. False: the buffer ends before.
bool CsvReader::scan_quoted(std::size_t& at, Span& span) {
    const std::int64_t opening_line = record_line_ + record_newlines_;
    span.begin = ++at;
    for (; at < size_; ++at) {
        if (buffer_[at] == '\n') {
            ++record_newlines_;
        } else if (buffer_[at] == '"') {
            if (at + 1 == size_ && !source_ended_) {
                return false;
            }
            if (at + 1 == size_ || buffer_[at + 1] != '"') {
                span.end = at++;
                return true;
            }
            span.has_doubled_quotes = true;
            ++at;
        }
    }
    if (source_ended_) {
        const std::size_t column = spans_.size();
        const std::string name = column < header_.size() ? " (column '" + header_[column] + "')" : "";
        position_ = size_;
        fail(opening_line, "the quote opened in line " + std::to_string(opening_line) + " of '" +
                               path_.string() + "'" + name +
                               " is never closed; close it, or write a quote inside a quoted field twice");
    }
    return false;
}

// Appends the next bytes of the file to the record that is not complete yet.
void CsvReader::refill() {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(position_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(size_), buffer_.begin());
    size_ -= position_;
    position_ = 0;
    const std::size_t wanted = std::max(kChunkBytes, size_);
    if (buffer_.size() < size_ + wanted) {
        buffer_.resize(size_ + wanted);
    }
    const int count = gzread(source_->file.get(), buffer_.data() + size_, static_cast<unsigned>(wanted));
    int code = Z_OK;
    const char* reason = gzerror(source_->file.get(), &code);
    if (count < 0 || code == Z_BUF_ERROR) {
        position_ = size_ = 0;
        source_ended_ = true;
        fail(0, "cannot read '" + path_.string() +
                    "': " + (code == Z_ERRNO ? std::string(std::strerror(errno)) : std::string(reason)) +
                    "; is the file complete?");
    }
    source_->hash.add(buffer_.data() + size_, static_cast<std::size_t>(count));
    size_ += static_cast<std::size_t>(count);
    source_ended_ = static_cast<std::size_t>(count) < wanted;
}

// Turns the spans of a complete record into fields; doubled quotes are halved within the buffer.
void CsvReader::unescape() {
    fields_.clear();
    for (const auto& span : spans_) {
        char* const begin = buffer_.data() + span.begin;
        std::size_t length = span.end - span.begin;
        if (span.has_doubled_quotes) {
            std::size_t to = 0;
            for (std::size_t from = 0; from < length; ++from) {
                begin[to++] = begin[from];
                if (begin[from] == '"') {
                    ++from;
                }
            }
            length = to;
        }
        fields_.emplace_back(begin, length);
    }
}

std::string CsvReader::content_sha256() {
    return source_->hash.hex();
}

}  // namespace orchestrate
