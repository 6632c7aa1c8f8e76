#include "common/data/csv.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <zlib.h>

#include "common/base/named_file.h"
#include "common/base/sha256.h"

namespace orchestrate {
namespace {

constexpr std::size_t kChunkBytes = 1U << 18;

}  // namespace

// The uncompressed bytes of a file, hashed on their way.
struct CsvReader::Source {
    std::unique_ptr<gzFile_s, decltype(&gzclose)> file;
    Sha256 hash;
};

CsvReader::CsvReader(const std::filesystem::path& path, char delimiter) : path_(path) {
    if (const auto why = no_file_sentence(path)) {
        fail(0, *why + "; expected a CSV or TSV file");
    }
    source_ = std::make_unique<Source>(Source{{gzopen(path.c_str(), "rb"), gzclose}, Sha256()});
    if (!source_->file) {
        fail(0, "cannot read '" + path.string() + "': " + std::strerror(errno));
    }
    gzbuffer(source_->file.get(), kChunkBytes);
    refill();
    refuse_other_formats();
    if (std::string_view(buffer_.data(), size_).starts_with("\xEF\xBB\xBF")) {
        position_ = 3;
    }

    refuse_other_line_ends();

    auto name = path.filename();
    if (name.extension() == ".gz") {
        name = name.stem();
    }
    const bool is_tsv = name.extension() == ".tsv" || name.extension() == ".tab";
    const char separator = read_separator_line();
    detected_delimiter_ = separator != 0 ? separator : is_tsv ? '\t' : sniff_delimiter();
    delimiter_ = delimiter != 0 ? delimiter : detected_delimiter_;
    if (delimiter != 0) {
        other_delimiters_.clear();
    }
    if (!read_record()) {
        fail(0, "'" + path.string() + "' is empty, expected a header line with the names of the columns");
    }
    header_.assign(fields_.begin(), fields_.end());
}

CsvReader::~CsvReader() = default;

void CsvReader::fail(std::int64_t line, const std::string& message) const {
    throw CsvError(line, message);
}

// By the first bytes of the (uncompressed) content.
void CsvReader::refuse_other_formats() const {
    struct Format {
        std::string_view begin;
        const char* is;
    };
    using namespace std::string_view_literals;
    static constexpr std::array kFormats = {
        Format{"\xFF\xFE\0\0"sv, "UTF-32, expected UTF-8; convert it with: iconv -f UTF-32 -t UTF-8"},
        Format{"\0\0\xFE\xFF"sv, "UTF-32, expected UTF-8; convert it with: iconv -f UTF-32 -t UTF-8"},
        Format{"\xFE\xFF"sv, "UTF-16, expected UTF-8; convert it with: iconv -f UTF-16 -t UTF-8"},
        Format{"\xFF\xFE"sv, "UTF-16, expected UTF-8; convert it with: iconv -f UTF-16 -t UTF-8"},
        Format{"PK\x03\x04"sv,
               "a zip archive (or a spreadsheet, such as .xlsx), expected a CSV or TSV file; extract "
               "it with unzip, or save the sheet as CSV"},
        Format{"\xD0\xCF\x11\xE0"sv, "an Excel workbook, expected a CSV or TSV file; save the sheet as CSV"},
        Format{"BZh"sv, "compressed with bzip2, expected plain text or gzip; expand it with bunzip2"},
        Format{"\xFD"
               "7zXZ"sv,
               "compressed with xz, expected plain text or gzip; expand it with unxz"},
        Format{"\x28\xB5\x2F\xFD"sv,
               "compressed with zstd, expected plain text or gzip; expand it with unzstd"},
        Format{"7z\xBC\xAF"sv, "a 7z archive, expected a CSV or TSV file; extract it with: 7z x"},
        Format{"Rar!"sv, "a RAR archive, expected a CSV or TSV file; extract it with: unrar x"},
        Format{"PAR1"sv, "a Parquet file, expected a CSV or TSV file; convert it, e.g. with pandas"},
        Format{"ARROW1"sv, "an Arrow file, expected a CSV or TSV file; convert it, e.g. with pandas"},
        Format{"SQLite format 3"sv,
               "an SQLite database, expected a CSV or TSV file; export the table as CSV"},
        Format{"\x1F\x8B"sv, "compressed twice with gzip, expected once; expand it with gunzip"},
        Format{"%PDF"sv, "a PDF document, expected a CSV or TSV file"},
    };
    const std::string_view content(buffer_.data(), size_);
    for (const auto& format : kFormats) {
        if (content.starts_with(format.begin)) {
            fail(1, "'" + path_.string() + "' is " + format.is);
        }
    }
    constexpr std::size_t kTarMark = 257;
    if (content.size() > kTarMark && content.substr(kTarMark).starts_with("ustar")) {
        fail(1, "'" + path_.string() +
                    "' is a tar archive, expected a CSV or TSV file; extract it with: tar xf");
    }
    constexpr std::size_t kLookedAt = 1U << 14;
    const auto begin = content.substr(0, kLookedAt);
    if (const auto at = begin.find('\0'); at != std::string_view::npos) {
        const auto nulls = static_cast<std::size_t>(std::count(begin.begin(), begin.end(), '\0'));
        fail(1, "'" + path_.string() +
                    (3 * nulls > begin.size() ? "' looks like UTF-16 without a byte order mark, expected "
                                                "UTF-8; convert it with: iconv "
                                                "-f UTF-16LE (or UTF-16BE) -t UTF-8"
                                              : "' holds a NUL byte (at byte " + std::to_string(at + 1) +
                                                    "), expected a text file in UTF-8"));
    }
}

// A header that ends in a carriage return alone would be one with all rows.
void CsvReader::refuse_other_line_ends() const {
    bool quoted = false;
    for (std::size_t i = position_; i + 1 < size_ && (quoted || buffer_[i] != '\n'); ++i) {
        quoted = buffer_[i] == '"' ? !quoted : quoted;
        if (!quoted && buffer_[i] == '\r' && buffer_[i + 1] != '\n') {
            fail(1, "'" + path_.string() +
                        "' has CR line ends, as of old Macs; expected LF or CRLF; convert it with: tr "
                        "'\\r' '\\n'");
        }
    }
}

// Skips a first line "sep=;", by which programs tell Excel the delimiter; 0 if there is none.
char CsvReader::read_separator_line() {
    const std::string_view content(buffer_.data() + position_, size_ - position_);
    auto line = content.substr(0, content.find('\n'));
    const std::size_t length = line.size();
    if (line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    if (line.size() >= 2 && line.front() == '"' && line.back() == '"') {
        line = line.substr(1, line.size() - 2);
    }
    constexpr std::string_view kKey = "sep=";
    if (line.size() != kKey.size() + 1 || (!line.starts_with(kKey) && !line.starts_with("SEP="))) {
        return 0;
    }
    const char separator = line.back();
    position_ = std::min(position_ + length + 1, size_);
    ++line_;
    return separator;
}

char CsvReader::sniff_delimiter() {
    constexpr std::array<char, 4> kCandidates = {',', ';', '\t', '|'};
    std::array<int, kCandidates.size()> counts{};
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
    const auto most =
        static_cast<std::size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
    for (std::size_t k = 0; k < kCandidates.size(); ++k) {
        if (k != most && counts[k] > 0) {
            other_delimiters_ += kCandidates[k];
        }
    }
    return kCandidates[most];
}

std::string CsvReader::wrong_field_count() const {
    const std::string found = std::to_string(fields_.size()) + (fields_.size() == 1 ? " field" : " fields");
    std::string text = "line " + std::to_string(record_line_) + " of '" + path_.string() + "' has " + found +
                       ", expected " + std::to_string(header_.size()) + " as in the header; ";
    if (fields_.size() == header_.size() + 1 && fields_.back().empty()) {
        return text +
               "the last one is empty: remove the delimiter at the end of the line, or add one to the header";
    }
    return text + "put fields that hold the delimiter in quotes";
}

bool CsvReader::next() {
    while (read_record()) {
        const bool is_blank = fields_.size() == 1 && fields_[0].empty() && header_.size() > 1;
        if (is_blank) {
            continue;
        }
        if (text_after_quote_line_ > 0) {
            fail(record_line_,
                 "line " + std::to_string(text_after_quote_line_) + " of '" + path_.string() +
                     "' has text after a closing quote; a quote inside a quoted field is written twice");
        }
        if (fields_.size() != header_.size()) {
            fail(record_line_, wrong_field_count());
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
