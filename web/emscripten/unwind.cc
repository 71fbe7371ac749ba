// What C++'s runtime asks of an unwinder, for the module with threads. Debian's clang reads
// __wasm_lpad_context as one variable of the whole program, where Debian's Emscripten defines one
// for each thread, so that no catch clause would ever match its type. As one variable it is enough:
// of the engine's threads only the one that the page calls throws (base/parallel.h).
//
// The contract: clang sets `landing_pad` and `language_data` and calls _Unwind_CallPersonality,
// which asks the personality function which clause matches, and clang reads `selector`.
#include <unwind.h>

#include <cstdint>

namespace {

struct LandingPadContext {
  std::uintptr_t landing_pad;    // counted from 0
  std::uintptr_t language_data;  // the table of the function's clauses
  std::uintptr_t selector;       // of the clause; 0: none
};

LandingPadContext& landing_pad_of(_Unwind_Context* context) {
  return *reinterpret_cast<LandingPadContext*>(context);
}

static_assert(sizeof(_Unwind_Word) == sizeof(std::uintptr_t));

}  // namespace

extern "C" {

LandingPadContext __wasm_lpad_context;

_Unwind_Reason_Code __gxx_personality_wasm0(int version, _Unwind_Action actions,
                                            std::uint64_t exception_class,
                                            _Unwind_Exception* exception, _Unwind_Context* context);

_Unwind_Reason_Code _Unwind_CallPersonality(void* thrown) {
  constexpr int kVersion = 1;
  auto* exception = static_cast<_Unwind_Exception*>(thrown);
  __wasm_lpad_context.selector = 0;
  // WebAssembly unwinds by itself: there is no search before.
  return __gxx_personality_wasm0(kVersion, _UA_CLEANUP_PHASE, exception->exception_class, exception,
                                 reinterpret_cast<_Unwind_Context*>(&__wasm_lpad_context));
}

_Unwind_Reason_Code _Unwind_RaiseException(_Unwind_Exception* exception) {
  constexpr int kTagOfCpp = 0;
  __builtin_wasm_throw(kTagOfCpp, exception);
}

void _Unwind_DeleteException(_Unwind_Exception* exception) {
  if (exception->exception_cleanup != nullptr)
    exception->exception_cleanup(_URC_FOREIGN_EXCEPTION_CAUGHT, exception);
}

// Register 1 is the selector; register 0, the exception, travels with WebAssembly's own.
void _Unwind_SetGR(_Unwind_Context* context, int index, _Unwind_Word value) {
  if (index == 1) landing_pad_of(context).selector = value;
}

// The personality function takes 1 off what it expects to be an address behind a call, and then
// counts from 1.
_Unwind_Word _Unwind_GetIP(_Unwind_Context* context) {
  return landing_pad_of(context).landing_pad + 2;
}

void* _Unwind_GetLanguageSpecificData(_Unwind_Context* context) {
  return reinterpret_cast<void*>(landing_pad_of(context).language_data);
}

// WebAssembly has no addresses of code.
void _Unwind_SetIP(_Unwind_Context*, _Unwind_Word) {}
_Unwind_Ptr _Unwind_GetRegionStart(_Unwind_Context*) { return 0; }

}  // extern "C"
