// Reads tables of text line by line: CSV (RFC 4180) and TSV, plain or gzip, of any size in bounded memory.
// The first record is the header. A byte order mark, a first line "sep=;" (Excel), CRLF line ends, quoted newlines
// and blank lines are understood; UTF-16, archives and other binary files are refused with what to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"

namespace orchestrate {

// A record that breaks the rules. The message names file and line, what was found and what to do.
class CsvError : public UserError {
  public:
    CsvError(std::int64_t line, const std::string& message) : UserError(message), line_(line) {}
    std::int64_t line() const { return line_; }  // 1-based; 0: the file as a whole

  private:
    std::int64_t line_;
};

// Not thread-safe.
class CsvReader {
  public:
    // Opens the file and reads its header. The delimiter is the given one; without one (0) that of a line "sep=;"; a
    // tab if the name ends in .tsv or .tab (.gz may follow); otherwise the one of comma, semicolon, tab and | that
    // the header has most of. Throws CsvError.
    explicit CsvReader(const std::filesystem::path& path, char delimiter = 0);
    ~CsvReader();
    CsvReader(const CsvReader&) = delete;
    CsvReader& operator=(const CsvReader&) = delete;

    const std::vector<std::string>& header() const { return header_; }
    char delimiter() const { return delimiter_; }
    // What the delimiter would be if none were given.
    char detected_delimiter() const { return detected_delimiter_; }
    // Other characters that could have been the delimiter, since the header has some of them too; empty unless the
    // delimiter was guessed by counting.
    const std::string& other_delimiters() const { return other_delimiters_; }

    // Reads the next record; false at the end. Throws CsvError for a record with a wrong number of fields or
    // text after a closing quote (the next call goes on with the record after it), for a quote that is never
    // closed and for a file that cannot be read (the next call returns false).
    bool next();

    // Of the record that next() read: one per column of the header, valid until the following call.
    const std::vector<std::string_view>& fields() const { return fields_; }
    std::int64_t line() const { return record_line_; }  // 1-based line on which it begins

    // SHA-256 of the uncompressed content, hashed while it was read. To be called once, after next() returned
    // false.
    std::string content_sha256();

  private:
    struct Source;
    struct Span {
        std::size_t begin = 0;
        std::size_t end = 0;
        bool has_doubled_quotes = false;
    };
    enum class Scan { record, end_of_buffer };

    bool read_record();
    Scan scan_record(std::size_t begin);
    bool scan_quoted(std::size_t& at, Span& span);
    void refill();
    void unescape();
    void refuse_other_formats() const;
    char read_separator_line();
    char sniff_delimiter();
    void refuse_other_line_ends() const;
    std::string wrong_field_count() const;
    [[noreturn]] void fail(std::int64_t line, const std::string& message) const;

    std::filesystem::path path_;
    std::unique_ptr<Source> source_;
    std::vector<char> buffer_;
    std::size_t size_ = 0;        // bytes in buffer_
    std::size_t position_ = 0;    // where the next record begins
    std::size_t record_end_ = 0;  // after the scanned record and its line end
    bool source_ended_ = false;
    char delimiter_ = ',';
    char detected_delimiter_ = ',';
    std::string other_delimiters_;
    std::int64_t line_ = 1;  // on which the next record begins
    std::int64_t record_line_ = 0;
    std::int64_t record_newlines_ = 0;
    std::int64_t text_after_quote_line_ = 0;  // 0: none in this record
    std::vector<Span> spans_;
    std::vector<std::string_view> fields_;
    std::vector<std::string> header_;
};

}  // namespace orchestrate
